package jsonpath

import (
	"cmp"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// filter is `[?(@.k)]` and `[?(@.k op literal)]`.
type filter struct {
	// deep is set after `..`: everything in the nodes is asked, the nodes are not.
	deep bool
	// keys lead from a candidate to the value that is compared: one name, or two.
	keys []string
	// op is empty when only existence is asked.
	op    string
	right term
}

// term is one side of a comparison.
type term struct {
	// keys is set for a path from the candidate.
	keys []string
	// path is set for a path from the root; with a single scalar it is that literal.
	path    *Path
	literal *canonical.Value
}

// mirrored is the operator with its sides exchanged.
var mirrored = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

// holds says when an operator is satisfied by an order.
var holds = map[string]func(order int) bool{
	"==": func(order int) bool { return order == 0 },
	"!=": func(order int) bool { return order != 0 },
	"<":  func(order int) bool { return order < 0 },
	"<=": func(order int) bool { return order <= 0 },
	">":  func(order int) bool { return order > 0 },
	">=": func(order int) bool { return order >= 0 },
}

// filter reads what follows `[?`.
func (p *parser) filter(deep bool) (step, error) {
	if p.peek().kind != tokenOpenParenthesis {
		return nil, ErrSyntax
	}
	f, err := p.expression()
	if err != nil {
		return nil, err
	}
	f.deep = deep
	return f, nil
}

// expression reads one comparison, in any number of parentheses. `&&` and `||` are refused: in the open-source Decision
// Gate they duplicate results or change their order.
func (p *parser) expression() (f filter, err error) {
	p.space()
	if !p.accept(tokenOpenParenthesis) {
		return p.comparison()
	}
	if p.parentheses++; p.parentheses > maxParentheses {
		return filter{}, ErrSyntax
	}
	if f, err = p.expression(); err != nil {
		return filter{}, err
	}
	p.parentheses--
	p.space()
	if !p.accept(tokenCloseParenthesis) {
		return filter{}, ErrSyntax
	}
	return f, nil
}

func (p *parser) comparison() (filter, error) {
	left, err := p.term()
	if err != nil {
		return filter{}, err
	}
	p.space()
	op := p.peek()
	if op.kind != tokenOperator {
		if left.keys == nil {
			return filter{}, ErrSyntax
		}
		return filter{keys: left.keys}, nil
	}
	p.next()
	p.space()
	right, err := p.term()
	reverse, known := mirrored[op.text]
	switch {
	case err != nil:
		return filter{}, err
	case !known:
		return filter{}, ErrSyntax
	case left.keys != nil && right.keys == nil:
		return filter{keys: left.keys, op: op.text, right: right}, nil
	case left.keys == nil && right.keys != nil:
		return filter{keys: right.keys, op: reverse, right: left}, nil
	default:
		// Two members or two literals: the first keeps everything, the second is no question.
		return filter{}, ErrSyntax
	}
}

func (p *parser) term() (term, error) {
	switch t := p.next(); t.kind {
	case tokenCurrent:
		return p.relative()
	case tokenRoot:
		steps, err := p.steps(true)
		return term{path: &Path{steps}}, err
	case tokenQuoted:
		v := canonical.NewString(t.text)
		return term{literal: &v}, nil
	case tokenKey:
		v, err := p.scalar(t.text)
		return term{literal: &v}, err
	default:
		return term{}, ErrSyntax
	}
}

// relative reads what follows `@`: one or two names. Longer paths, and `@` alone, mean nothing that holds together in the
// dialect.
func (p *parser) relative() (term, error) {
	steps, err := p.steps(true)
	if err != nil || len(steps) < 1 || len(steps) > 2 {
		return term{}, ErrSyntax
	}
	keys := make([]string, len(steps))
	for i, s := range steps {
		m, ok := s.(members)
		if !ok {
			return term{}, ErrSyntax
		}
		keys[i] = m.names[0]
	}
	return term{keys: keys}, nil
}

var numberLiteral = regexp.MustCompile(`^-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$`)

// scalar reads a number, whose dot is a token of its own, or a boolean. null is not one of the dialect's literals.
func (p *parser) scalar(text string) (canonical.Value, error) {
	switch {
	case strings.EqualFold(text, "true"):
		return canonical.NewBool(true), nil
	case strings.EqualFold(text, "false"):
		return canonical.NewBool(false), nil
	}
	if c := text[0]; c != '-' && (c < '0' || c > '9') {
		return canonical.Value{}, ErrSyntax
	}
	if p.accept(tokenDot) {
		fraction := p.next()
		if fraction.kind != tokenKey {
			return canonical.Value{}, ErrSyntax
		}
		text += "." + fraction.text
	}
	f, err := strconv.ParseFloat(text, 64)
	// A literal that overflows ends the process of the open-source Decision Gate ([F-07]).
	if err != nil || math.IsInf(f, 0) || !numberLiteral.MatchString(text) {
		return canonical.Value{}, ErrSyntax
	}
	return canonical.NewFloat(f), nil
}

func (f filter) apply(r *run, nodes []*canonical.Value) []*canonical.Value {
	if f.deep {
		nodes = deepWildcard{}.apply(r, nodes)
	}
	holders := r.holders(nodes, f.keys[0])
	if f.op != "" {
		literal := f.right.resolve(r)
		if literal == nil {
			return nil
		}
		f.right.literal = literal
	}
	if len(f.keys) == 2 {
		return f.second(r, holders)
	}
	return f.keep(r, holders, f.keys[0])
}

// resolve returns the literal of a term; a path that does not lead to exactly one scalar has none, and nothing matches.
func (t term) resolve(r *run) *canonical.Value {
	if t.path == nil {
		return t.literal
	}
	found := r.walk(t.path.steps, []*canonical.Value{r.root})
	if len(found) != 1 {
		return nil
	}
	switch found[0].Kind() {
	case canonical.Null, canonical.Array, canonical.Object:
		return nil
	}
	return found[0]
}

// keep filters objects by their member.
func (f filter) keep(r *run, objects []*canonical.Value, key string) (out []*canonical.Value) {
	for _, v := range objects {
		if member := r.member(v, key); member != nil && (f.op == "" || f.matches(member)) {
			out = r.add(out, v)
		}
	}
	return out
}

// compareCost is what comparing two values for equality counts, in visits: more than looking at one.
const compareCost = 16

// second filters by `@.a.b`. With existence that is every holder whose a has b. With a comparison the dialect looks for
// the values that matched among all members of the holders, by equality: of holders with equal values each is there once
// for every match.
func (f filter) second(r *run, holders []*canonical.Value) (out []*canonical.Value) {
	var firsts, having []*canonical.Value
	for _, holder := range holders {
		first := r.member(holder, f.keys[0])
		if r.err != nil {
			return nil
		}
		firsts = append(firsts, first)
		if r.member(first, f.keys[1]) != nil {
			having = append(having, holder)
		}
	}
	matched := f.keep(r, r.holders(firsts, f.keys[1]), f.keys[1])
	switch {
	case len(matched) == 0:
		return nil
	case f.op == "":
		return having
	}
	for _, holder := range having {
		children(holder, func(child *canonical.Value) {
			for _, m := range matched {
				if r.spend(compareCost) && canonical.Equal(*child, *m) {
					out = r.add(out, holder)
				}
			}
		})
	}
	return out
}

// holders collects the objects that have a member: nodes that are objects, and the objects in nodes that are arrays,
// through nested arrays. Each is there once, however often it is met.
func (r *run) holders(nodes []*canonical.Value, key string) (out []*canonical.Value) {
	seen := map[*canonical.Value]bool{}
	var visit func(v *canonical.Value)
	visit = func(v *canonical.Value) {
		if !r.spend(1) || seen[v] {
			return
		}
		if r.member(v, key) != nil {
			seen[v] = true
			out = r.add(out, v)
			return
		}
		items := v.Items()
		for i := range items {
			visit(&items[i])
		}
	}
	for _, node := range nodes {
		visit(node)
	}
	return out
}

// matches compares a member with the literal. Values of different types never match, not even with `!=`.
func (f filter) matches(v *canonical.Value) bool {
	order, ok := compare(v, f.right.literal)
	return ok && holds[f.op](order)
}

func compare(a, b *canonical.Value) (order int, ok bool) {
	if x, ok := a.Float(); ok {
		y, ok := b.Float()
		return cmp.Compare(x, y), ok
	}
	if x, ok := a.Text(); ok {
		y, ok := b.Text()
		return strings.Compare(x, y), ok
	}
	if a.Kind() == canonical.Bool && b.Kind() == canonical.Bool {
		return rank(a) - rank(b), true
	}
	return 0, false
}

func rank(v *canonical.Value) int {
	if v.Bool() {
		return 1
	}
	return 0
}

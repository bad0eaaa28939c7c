// Package jsonpath selects values of a JSON document with the path dialect of the json provider (contract §10.3, [P-21]).
//
// It is not RFC 9535: scenarios depend on the habits of the dialect, so those are kept, such as indexes that are clamped
// and text after a complete path that is dropped. What the open-source Decision Gate gets wrong or crashes on ([F-07]:
// step 0, boolean operators, null, functions, lists and ranges inside a filter) is refused, not guessed at. The package
// does no I/O, and no expression can make it run away: see the limits.
package jsonpath

import (
	"context"
	"errors"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

const (
	// MaxExpression is the length in bytes of the longest expression: room for any path that somebody wrote, and a bound
	// for the number of steps.
	MaxExpression = 4096
	// maxParentheses bounds the recursion of the parser: `[?((((` would otherwise go as deep as the expression is long.
	maxParentheses = 16
	// maxVisits bounds the work of one selection. `$..*` visits each value of a 1 MiB document at most twice; every
	// further `..*` multiplies by the depth, and without a bound `$..*..*..*..*` never ends.
	maxVisits = 1 << 23
	// maxNodes bounds the values held between two steps, and with them memory. More matches than this cannot fit into
	// the 1 MiB that evidence may have.
	maxNodes = 1 << 20
)

var (
	// ErrSyntax is the error of an expression that is not of the dialect.
	ErrSyntax = errors.New("invalid jsonpath")
	// ErrLimit is the error of a selection that visits or matches too much.
	ErrLimit = errors.New("jsonpath selects too much")
)

// Path is a compiled expression. It may be used by many goroutines.
type Path struct {
	steps []step
}

// Compile reads an expression. The error is ErrSyntax.
func Compile(expression string) (*Path, error) {
	if len(expression) > MaxExpression {
		return nil, ErrSyntax
	}
	p := parser{lexer: lexer{rest: expression}}
	if p.next().kind != tokenRoot {
		return nil, ErrSyntax
	}
	steps, err := p.steps(false)
	if err != nil {
		return nil, err
	}
	return &Path{steps: steps}, nil
}

// Select returns the matches in the order of the dialect; a value may be there more than once. The pointers are into the
// document, which must not be changed. The error is ErrLimit or that of the context.
func (p *Path) Select(ctx context.Context, document *canonical.Value) ([]*canonical.Value, error) {
	r := &run{ctx: ctx, root: document, left: maxVisits}
	nodes := r.walk(p.steps, []*canonical.Value{document})
	return nodes, r.err
}

// run is one selection. Once err is set every step returns at once.
type run struct {
	ctx  context.Context
	root *canonical.Value
	left int
	err  error
}

// checkEvery is the number of visits between two looks at the context.
const checkEvery = 1 << 14

// spend counts n visits and reports whether the selection may go on.
func (r *run) spend(n int) bool {
	if r.err != nil {
		return false
	}
	before := r.left
	if r.left -= n; r.left < 0 {
		r.err = ErrLimit
	} else if before/checkEvery != r.left/checkEvery {
		r.err = r.ctx.Err()
	}
	return r.err == nil
}

// add appends a match.
func (r *run) add(nodes []*canonical.Value, node *canonical.Value) []*canonical.Value {
	if len(nodes) >= maxNodes {
		r.err = ErrLimit
		return nodes
	}
	return append(nodes, node)
}

func (r *run) walk(steps []step, nodes []*canonical.Value) []*canonical.Value {
	for _, s := range steps {
		if nodes = s.apply(r, nodes); r.err != nil {
			return nil
		}
	}
	return nodes
}

// member finds a member of an object; of anything else there is none.
func (r *run) member(v *canonical.Value, name string) *canonical.Value {
	members := v.Members()
	if !r.spend(len(members)) {
		return nil
	}
	for i := range members {
		if members[i].Name == name {
			return &members[i].Value
		}
	}
	return nil
}

// children calls visit with the elements of an array or the member values of an object, in document order.
func children(v *canonical.Value, visit func(*canonical.Value)) {
	items, members := v.Items(), v.Members()
	for i := range items {
		visit(&items[i])
	}
	for i := range members {
		visit(&members[i].Value)
	}
}

// descend calls visit with a value and everything in it, each before what is in it.
func (r *run) descend(v *canonical.Value, visit func(*canonical.Value)) {
	if !r.spend(1) {
		return
	}
	visit(v)
	children(v, func(child *canonical.Value) { r.descend(child, visit) })
}

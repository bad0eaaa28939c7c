package jsonpath

import "strconv"

type parser struct {
	lexer  lexer
	peeked *token
	// parentheses is how many are open in a filter.
	parentheses int
}

func (p *parser) peek() token {
	if p.peeked == nil {
		t := p.lexer.next()
		p.peeked = &t
	}
	return *p.peeked
}

func (p *parser) next() token {
	t := p.peek()
	p.peeked = nil
	return t
}

// accept takes the next token if it is of the kind.
func (p *parser) accept(kind tokenKind) bool {
	if p.peek().kind != kind {
		return false
	}
	p.next()
	return true
}

func (p *parser) space() { p.accept(tokenSpace) }

// steps reads what follows `$` or `@`, up to the first token that cannot go on with it: that and the rest is the caller's,
// who drops it outside of a filter ([P-21]).
func (p *parser) steps(inFilter bool) (steps []step, err error) {
	for {
		var s step
		switch {
		case p.accept(tokenDot):
			s, err = p.afterDot(inFilter)
		case p.accept(tokenOpen):
			p.space()
			s, err = p.bracket(false, inFilter)
		default:
			return steps, nil
		}
		if err != nil {
			return nil, err
		}
		steps = append(steps, s)
	}
}

func (p *parser) afterDot(inFilter bool) (step, error) {
	if p.accept(tokenDot) {
		return p.afterDots(inFilter)
	}
	switch t := p.next(); t.kind {
	case tokenStar:
		return wildcard{}, nil
	case tokenKey:
		return members{[]string{t.text}}, nil
	case tokenOpen:
		return p.bracket(false, inFilter)
	default:
		return nil, ErrSyntax
	}
}

func (p *parser) afterDots(inFilter bool) (step, error) {
	switch t := p.next(); t.kind {
	case tokenStar:
		return deepWildcard{}, nil
	case tokenKey:
		return deepMember{t.text}, nil
	case tokenOpen:
		p.space()
		return p.bracket(true, inFilter)
	default:
		return nil, ErrSyntax
	}
}

// bracket reads what is between brackets. After `..` lists and slices stay what they are on the current nodes: the dialect
// forgets the dots.
func (p *parser) bracket(deep, inFilter bool) (s step, err error) {
	switch t := p.next(); t.kind {
	case tokenStar:
		s = wildcard{}
		if deep {
			s = deepWildcard{}
		}
	case tokenQuestion:
		if inFilter {
			return nil, ErrSyntax
		}
		s, err = p.filter(deep)
	case tokenQuoted:
		s, err = p.names(t.text, deep)
	case tokenKey:
		s, err = p.numbers(t.text, deep)
	case tokenColon:
		s, err = p.slice(0)
	default:
		return nil, ErrSyntax
	}
	if err != nil {
		return nil, err
	}
	p.space()
	if !p.accept(tokenClose) || inFilter && crashesInFilter(s) {
		return nil, ErrSyntax
	}
	return s, nil
}

// crashesInFilter reports the steps that end the process of the open-source Decision Gate inside a filter ([F-07]).
func crashesInFilter(s step) bool {
	switch s := s.(type) {
	case members:
		return len(s.names) > 1
	case indexes, slice:
		return true
	default:
		return false
	}
}

// names reads the rest of `['a', 'b']`. White space may stand after a comma, not before the first.
func (p *parser) names(first string, deep bool) (step, error) {
	names := []string{first}
	for p.accept(tokenComma) {
		p.space()
		t := p.next()
		if t.kind != tokenQuoted {
			return nil, ErrSyntax
		}
		names = append(names, t.text)
		p.space()
	}
	if deep && len(names) == 1 {
		return deepMember{first}, nil
	}
	return members{names}, nil
}

// numbers reads the rest of `[n]`, `[n,m]` and `[n:…]`.
func (p *parser) numbers(first string, deep bool) (step, error) {
	at, err := integer(first)
	if err != nil {
		return nil, err
	}
	p.space()
	switch p.peek().kind {
	case tokenComma:
		return p.union(at)
	case tokenColon:
		p.next()
		return p.slice(at)
	}
	if deep {
		return deepIndex{at}, nil
	}
	return index{at}, nil
}

func (p *parser) union(first int) (step, error) {
	list := []int{first}
	for p.accept(tokenComma) {
		p.space()
		at, err := p.integer()
		if err != nil {
			return nil, err
		}
		list = append(list, at)
	}
	return indexes{list}, nil
}

// slice reads what follows the first colon of `[n:m:step]`.
func (p *parser) slice(from int) (step, error) {
	s := slice{from: from, step: 1}
	p.space()
	if p.peek().kind == tokenKey {
		to, err := p.integer()
		if err != nil {
			return nil, err
		}
		s.to = &to
	}
	p.space()
	if !p.accept(tokenColon) {
		return s, nil
	}
	p.space()
	if p.peek().kind != tokenKey {
		return s, nil
	}
	n, err := p.integer()
	// A step of 0 crashes the open-source Decision Gate ([F-07]); here it would never end.
	if err != nil || n < 1 {
		return nil, ErrSyntax
	}
	s.step = n
	return s, nil
}

func (p *parser) integer() (int, error) {
	t := p.next()
	if t.kind != tokenKey {
		return 0, ErrSyntax
	}
	return integer(t.text)
}

func integer(text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, strconv.IntSize)
	if err != nil {
		return 0, ErrSyntax
	}
	return int(n), nil
}

package canonical

import (
	"errors"
	"slices"
)

// ParseMembers reads a document that is an object of which only some members matter. Those that are wanted are parsed, and
// each may occur once; the others are skipped, whatever their depth and however often they occur (mcp contract §1.2).
// The members are returned in the order of the document. The error is a *SyntaxError.
func ParseMembers(data []byte, wanted ...string) ([]Member, error) {
	p := parser{data: data, depth: 1}
	members, err := p.someMembers(wanted)
	if err == nil {
		if p.space(); p.pos < len(p.data) {
			err = errors.New("trailing characters")
		}
	}
	if err != nil {
		return nil, p.locate(err)
	}
	return members, nil
}

func (p *parser) someMembers(wanted []string) ([]Member, error) {
	p.space()
	if !p.at('{') {
		return nil, errors.New("expected an object")
	}
	p.pos++
	var members []Member
	for first := true; ; first = false {
		p.space()
		if first && p.at('}') {
			p.pos++
			return members, nil
		}
		if !p.at('"') {
			return nil, errors.New("key must be a string")
		}
		m, known, err := p.wantedMember(wanted)
		if err != nil {
			return nil, err
		}
		if known {
			if slices.ContainsFunc(members, func(o Member) bool { return o.Name == m.Name }) {
				return nil, errors.New("duplicate field `" + m.Name + "`")
			}
			members = append(members, m)
		}
		if more, err := p.separator('}'); err != nil || !more {
			return members, err
		}
	}
}

func (p *parser) wantedMember(wanted []string) (m Member, known bool, err error) {
	if m.Name, err = p.string(); err != nil {
		return m, false, err
	}
	if p.space(); !p.at(':') {
		return m, false, errors.New("expected `:`")
	}
	p.pos++
	p.space()
	if !slices.Contains(wanted, m.Name) {
		return m, false, p.skip()
	}
	m.Value, err = p.value()
	return m, true, err
}

// skip reads over a value without recursion, so that no depth of it costs stack. That it is well formed is checked, what
// it holds is not.
func (p *parser) skip() error {
	var open []byte // the closing brackets that are still to come
	for {
		switch c, err := p.peek(); {
		case err != nil:
			return err
		case c == '{' || c == '[':
			p.pos++
			open = append(open, c+2) // the closing bracket of each is two further in ASCII
			if p.space(); !p.at(c + 2) {
				if err := p.skipKey(c + 2); err != nil {
					return err
				}
				continue
			}
		default:
			if err := p.skipScalar(c); err != nil {
				return err
			}
		}
		if done, err := p.skipEnds(&open); done || err != nil {
			return err
		}
	}
}

// skipEnds reads what follows a value: the ends of containers, then a comma, or nothing when the whole value has ended.
func (p *parser) skipEnds(open *[]byte) (done bool, err error) {
	for {
		if len(*open) == 0 {
			return true, nil
		}
		p.space()
		closing := (*open)[len(*open)-1]
		switch {
		case p.at(closing):
			p.pos++
			*open = (*open)[:len(*open)-1]
		case p.at(','):
			p.pos++
			p.space()
			return false, p.skipKey(closing)
		default:
			return false, errors.New("expected `,` or a closing bracket")
		}
	}
}

// skipKey reads a name and its colon, in an object.
func (p *parser) skipKey(closing byte) error {
	if closing == ']' {
		return nil
	}
	if !p.at('"') {
		return errors.New("key must be a string")
	}
	if err := p.skipString(); err != nil {
		return err
	}
	if p.space(); !p.at(':') {
		return errors.New("expected `:`")
	}
	p.pos++
	p.space()
	return nil
}

func (p *parser) skipScalar(c byte) error {
	switch {
	case c == '"':
		return p.skipString()
	case c == '-' || c >= '0' && c <= '9':
		if _, err := p.number(); err != nil && !errors.Is(err, errRange) {
			return err
		}
		return nil
	case c == 't':
		return p.literal("true")
	case c == 'f':
		return p.literal("false")
	case c == 'n':
		return p.literal("null")
	default:
		return errExpectedValue
	}
}

func (p *parser) skipString() error {
	for p.pos++; p.pos < len(p.data); p.pos++ {
		switch c := p.data[p.pos]; {
		case c == '"':
			p.pos++
			return nil
		case c == '\\':
			p.pos++
		case c < 0x20:
			return errControl
		}
	}
	return errors.New("EOF while parsing a string")
}

package canonical

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is the number of nested containers that a document may have (contract §0.4-2). It bounds the stack of every
// recursive walk over a Value.
const MaxDepth = 127

// SyntaxError says where a document stops being JSON.
type SyntaxError struct {
	Message string
	// Line and Column are counted from 1, in bytes.
	Line, Column int
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s at line %d column %d", e.Message, e.Line, e.Column)
}

// Parse reads one JSON document by the rules of contract §0.4: UTF-8 without BOM, nothing after it, no lone surrogate, at
// most MaxDepth containers. Of members with the same name the last wins. The error is a *SyntaxError.
func Parse(data []byte) (Value, error) { return parse(parser{data: data}) }

// recordDepth is how deep inside a record a value of a document lies at most: evidence in a step has eight containers
// around it.
const recordDepth = 16

// ParseRecord is Parse for what a host wrote: a record holds values that may be as deep as a document, some way inside.
// With the limit of documents, a run with such evidence could be written and never be read again.
func ParseRecord(data []byte) (Value, error) { return parse(parser{data: data, depth: -recordDepth}) }

func parse(p parser) (Value, error) {
	p.space()
	v, err := p.value()
	if err == nil {
		p.space()
		if p.pos < len(p.data) {
			err = errors.New("trailing characters")
		}
	}
	if err != nil {
		return Value{}, p.locate(err)
	}
	return v, nil
}

type parser struct {
	data  []byte
	pos   int
	depth int
	// members are those of the objects that are being read, the innermost last: an object takes its own when it ends, so
	// that a slice is made once for each, and of the right length.
	members []Member
}

var (
	errEOF           = errors.New("EOF while parsing a value")
	errExpectedValue = errors.New("expected value")
	errNumber        = errors.New("invalid number")
	errRange         = errors.New("number out of range")
	errEscape        = errors.New("invalid escape")
	errSurrogate     = errors.New("lone surrogate in string")
	errControl       = errors.New("control character (\\u0000-\\u001F) found while parsing a string")
	errUTF8          = errors.New("invalid UTF-8")
	errDepth         = errors.New("recursion limit exceeded")
	errTrailingComma = errors.New("trailing comma")
)

func (p *parser) locate(err error) error {
	read := p.data[:min(p.pos, len(p.data))]
	line := 1 + bytes.Count(read, []byte{'\n'})
	column := len(read) - bytes.LastIndexByte(read, '\n')
	return &SyntaxError{Message: err.Error(), Line: line, Column: column}
}

func (p *parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
		default:
			return
		}
	}
}

func (p *parser) peek() (byte, error) {
	if p.pos >= len(p.data) {
		return 0, errEOF
	}
	return p.data[p.pos], nil
}

func (p *parser) value() (Value, error) {
	c, err := p.peek()
	if err != nil {
		return Value{}, err
	}
	switch {
	case c == '"':
		s, err := p.string()
		return NewString(s), err
	case c == '{':
		return p.nested((*parser).object)
	case c == '[':
		return p.nested((*parser).array)
	case c == '-' || c >= '0' && c <= '9':
		return p.number()
	case c == 't':
		return NewBool(true), p.literal("true")
	case c == 'f':
		return NewBool(false), p.literal("false")
	case c == 'n':
		return Value{}, p.literal("null")
	default:
		return Value{}, errExpectedValue
	}
}

func (p *parser) literal(word string) error {
	if !bytes.HasPrefix(p.data[p.pos:], []byte(word)) {
		return errExpectedValue
	}
	p.pos += len(word)
	return nil
}

func (p *parser) nested(read func(*parser) (Value, error)) (Value, error) {
	// Stops a document of a million brackets from overflowing the stack.
	if p.depth++; p.depth > MaxDepth {
		return Value{}, errDepth
	}
	p.pos++
	v, err := read(p)
	p.depth--
	return v, err
}

func (p *parser) array() (Value, error) {
	items := []Value{}
	for {
		p.space()
		c, err := p.peek()
		if err != nil {
			return Value{}, err
		}
		if c == ']' {
			if len(items) > 0 {
				return Value{}, errTrailingComma
			}
			p.pos++
			return NewArray(items), nil
		}
		v, err := p.value()
		if err != nil {
			return Value{}, err
		}
		items = append(items, v)
		more, err := p.separator(']')
		if err != nil {
			return Value{}, err
		}
		if !more {
			return NewArray(items), nil
		}
	}
}

func (p *parser) object() (Value, error) {
	first := len(p.members)
	for {
		p.space()
		c, err := p.peek()
		if err != nil {
			return Value{}, err
		}
		switch {
		case c == '}' && len(p.members) > first:
			return Value{}, errTrailingComma
		case c == '}':
			p.pos++
			return NewObject(nil), nil
		case c != '"':
			return Value{}, errors.New("key must be a string")
		}
		m, err := p.member()
		if err != nil {
			return Value{}, err
		}
		p.members = append(p.members, m)
		more, err := p.separator('}')
		if err != nil {
			return Value{}, err
		}
		if !more {
			members := slices.Clone(p.members[first:])
			p.members = p.members[:first]
			return NewObject(members), nil
		}
	}
}

func (p *parser) member() (Member, error) {
	name, err := p.string()
	if err != nil {
		return Member{}, err
	}
	p.space()
	if c, err := p.peek(); err != nil {
		return Member{}, err
	} else if c != ':' {
		return Member{}, errors.New("expected `:`")
	}
	p.pos++
	p.space()
	v, err := p.value()
	return Member{Name: name, Value: v}, err
}

// separator reads what follows an element: a comma (more) or the closing bracket.
func (p *parser) separator(closing byte) (more bool, err error) {
	p.space()
	c, err := p.peek()
	switch {
	case err != nil:
		return false, err
	case c == ',':
		p.pos++
		return true, nil
	case c == closing:
		p.pos++
		return false, nil
	default:
		return false, fmt.Errorf("expected `,` or `%c`", closing)
	}
}

// string reads a string; the position is at its opening quote.
func (p *parser) string() (string, error) {
	p.pos++
	start := p.pos
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			raw := p.data[start:p.pos]
			if !utf8.Valid(raw) {
				return "", errUTF8
			}
			p.pos++
			return string(raw), nil
		case c == '\\':
			return p.escapedString(start)
		case c < 0x20:
			return "", errControl
		default:
			p.pos++
		}
	}
	return "", errors.New("EOF while parsing a string")
}

// escapedString reads the rest of a string from its first escape on.
func (p *parser) escapedString(start int) (string, error) {
	out := append([]byte(nil), p.data[start:p.pos]...)
	for p.pos < len(p.data) {
		switch c := p.data[p.pos]; {
		case c == '"':
			if !utf8.Valid(out) {
				return "", errUTF8
			}
			p.pos++
			return string(out), nil
		case c == '\\':
			var err error
			if out, err = p.escape(out); err != nil {
				return "", err
			}
		case c < 0x20:
			return "", errControl
		default:
			out = append(out, c)
			p.pos++
		}
	}
	return "", errors.New("EOF while parsing a string")
}

var simpleEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

func (p *parser) escape(out []byte) ([]byte, error) {
	if p.pos+1 >= len(p.data) {
		return nil, errEscape
	}
	c := p.data[p.pos+1]
	if plain := simpleEscapes[c]; plain != 0 {
		p.pos += 2
		return append(out, plain), nil
	}
	if c != 'u' {
		return nil, errEscape
	}
	r, err := p.hex4(p.pos + 2)
	if err != nil {
		return nil, err
	}
	p.pos += 6
	if !utf16.IsSurrogate(r) {
		return utf8.AppendRune(out, r), nil
	}
	if p.pos+1 >= len(p.data) || p.data[p.pos] != '\\' || p.data[p.pos+1] != 'u' {
		return nil, errSurrogate
	}
	low, err := p.hex4(p.pos + 2)
	if err != nil {
		return nil, err
	}
	full := utf16.DecodeRune(r, low)
	if full == utf8.RuneError {
		return nil, errSurrogate
	}
	p.pos += 6
	return utf8.AppendRune(out, full), nil
}

func (p *parser) hex4(at int) (rune, error) {
	if at+4 > len(p.data) {
		return 0, errEscape
	}
	var r rune
	for _, c := range p.data[at : at+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, errEscape
		}
		r = r<<4 | rune(c)
	}
	return r, nil
}

// number reads a literal and classifies it (contract §0.5).
func (p *parser) number() (Value, error) {
	start := p.pos
	negative := p.data[p.pos] == '-'
	if negative {
		p.pos++
	}
	digits := p.digits()
	// RFC 8259: an integer part is 0 or begins with 1 to 9.
	if digits == 0 || digits > 1 && p.data[p.pos-digits] == '0' {
		return Value{}, errNumber
	}
	integer := true
	if p.at('.') {
		integer = false
		p.pos++
		if p.digits() == 0 {
			return Value{}, errNumber
		}
	}
	if p.at('e') || p.at('E') {
		integer = false
		p.pos++
		if p.at('+') || p.at('-') {
			p.pos++
		}
		if p.digits() == 0 {
			return Value{}, errNumber
		}
	}
	return classify(string(p.data[start:p.pos]), integer, negative)
}

func (p *parser) at(c byte) bool { return p.pos < len(p.data) && p.data[p.pos] == c }

func (p *parser) digits() int {
	start := p.pos
	for p.pos < len(p.data) && p.data[p.pos] >= '0' && p.data[p.pos] <= '9' {
		p.pos++
	}
	return p.pos - start
}

func classify(literal string, integer, negative bool) (Value, error) {
	switch {
	case integer && !negative:
		if n, err := strconv.ParseUint(literal, 10, 64); err == nil {
			return NewUint(n), nil
		}
	case integer && literal != "-0":
		if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
			return NewInt(n), nil
		}
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.IsInf(f, 0) {
		return Value{}, errRange
	}
	return NewFloat(f), nil
}

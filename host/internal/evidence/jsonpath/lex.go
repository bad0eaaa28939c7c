package jsonpath

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	// tokenBad is what is no token, the end of the expression included.
	tokenBad tokenKind = iota
	tokenRoot
	tokenCurrent
	tokenDot
	tokenStar
	tokenOpen
	tokenClose
	tokenQuestion
	tokenOpenParenthesis
	tokenCloseParenthesis
	tokenComma
	tokenColon
	tokenSpace
	// tokenKey is bare text: a name, a number, true, false.
	tokenKey
	tokenQuoted
	tokenOperator
)

type token struct {
	kind tokenKind
	// text is the name, the unquoted text or the operator.
	text string
}

// lexer reads tokens one at a time, because what follows a complete path is never looked at.
type lexer struct {
	rest string
}

var punctuation = map[byte]tokenKind{
	'@': tokenCurrent, '.': tokenDot, '*': tokenStar, '[': tokenOpen, ']': tokenClose, '?': tokenQuestion,
	'(': tokenOpenParenthesis, ')': tokenCloseParenthesis, ',': tokenComma, ':': tokenColon,
}

// operators, the longer ones before those they begin with.
var operators = []string{"==", "!=", "<=", ">=", "<", ">", "&&", "||"}

// keyEnds are the characters that end bare text. Quotes do not.
const keyEnds = ".*[]()@?,:<>=&|!"

func (l *lexer) next() token {
	if l.rest == "" {
		return token{}
	}
	c := l.rest[0]
	if kind, ok := punctuation[c]; ok {
		l.rest = l.rest[1:]
		return token{kind: kind}
	}
	switch {
	case c == '$':
		return l.dollar()
	case c == '\'' || c == '"':
		return l.quoted(c)
	case strings.IndexByte("=!<>&|", c) >= 0:
		return l.operator()
	}
	if first, _ := utf8.DecodeRuneInString(l.rest); unicode.IsSpace(first) {
		l.take(unicode.IsSpace)
		return token{kind: tokenSpace}
	}
	return token{tokenKey, l.take(func(r rune) bool { return r != '$' && inKey(r) })}
}

func inKey(r rune) bool { return !unicode.IsSpace(r) && !strings.ContainsRune(keyEnds, r) }

func (l *lexer) take(in func(rune) bool) string {
	end := strings.IndexFunc(l.rest, func(r rune) bool { return !in(r) })
	if end < 0 {
		end = len(l.rest)
	}
	taken := l.rest[:end]
	l.rest = l.rest[end:]
	return taken
}

// dollar reads the root, or a name that starts with a dollar and may hold more of them.
func (l *lexer) dollar() token {
	if text := l.take(inKey); len(text) > 1 {
		return token{tokenKey, text}
	}
	return token{kind: tokenRoot}
}

// quoted reads quoted text, in which one quote may be escaped.
func (l *lexer) quoted(quote byte) token {
	text, rest, ok := strings.Cut(l.rest[1:], string(quote))
	if escaped, cut := strings.CutSuffix(text, `\`); ok && cut {
		var more string
		more, rest, ok = strings.Cut(rest, string(quote))
		text = escaped + string(quote) + more
	}
	if l.rest = rest; !ok {
		return token{}
	}
	return token{tokenQuoted, text}
}

func (l *lexer) operator() token {
	for _, op := range operators {
		if rest, ok := strings.CutPrefix(l.rest, op); ok {
			l.rest = rest
			return token{tokenOperator, op}
		}
	}
	return token{}
}

package gate

// Truth is the outcome of a comparison, a requirement or a gate. Unknown never passes. In records the words are
// capitalised, in branch rules they are not ([P-27]).
type Truth string

// The truth values.
const (
	True    Truth = "True"
	False   Truth = "False"
	Unknown Truth = "Unknown"
)

// Names returns the values that a document may name.
func (Truth) Names() []string { return []string{string(True), string(False), string(Unknown)} }

// Of makes a truth value of a boolean.
func Of(b bool) Truth {
	if b {
		return True
	}
	return False
}

// Not is Kleene negation.
func (t Truth) Not() Truth {
	switch t {
	case True:
		return False
	case False:
		return True
	default:
		return Unknown
	}
}

// And is Kleene conjunction (contract §3.3).
func (t Truth) And(o Truth) Truth {
	switch {
	case t == False || o == False:
		return False
	case t == True && o == True:
		return True
	default:
		return Unknown
	}
}

// Or is Kleene disjunction.
func (t Truth) Or(o Truth) Truth {
	switch {
	case t == True || o == True:
		return True
	case t == False && o == False:
		return False
	default:
		return Unknown
	}
}

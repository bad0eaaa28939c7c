package gate

// Comparator names how an answer is compared with what is expected (contract §4.1).
type Comparator string

// The comparators, in the contract's order.
const (
	Equals             Comparator = "equals"
	NotEquals          Comparator = "not_equals"
	GreaterThan        Comparator = "greater_than"
	GreaterThanOrEqual Comparator = "greater_than_or_equal"
	LessThan           Comparator = "less_than"
	LessThanOrEqual    Comparator = "less_than_or_equal"
	LexGreaterThan     Comparator = "lex_greater_than"
	LexGreaterOrEqual  Comparator = "lex_greater_than_or_equal"
	LexLessThan        Comparator = "lex_less_than"
	LexLessOrEqual     Comparator = "lex_less_than_or_equal"
	Contains           Comparator = "contains"
	InSet              Comparator = "in_set"
	DeepEquals         Comparator = "deep_equals"
	DeepNotEquals      Comparator = "deep_not_equals"
	Exists             Comparator = "exists"
	NotExists          Comparator = "not_exists"
)

// Names returns the comparators that a document may name.
func (Comparator) Names() []string {
	return []string{
		string(Equals), string(NotEquals), string(GreaterThan), string(GreaterThanOrEqual), string(LessThan), string(LessThanOrEqual),
		string(LexGreaterThan), string(LexGreaterOrEqual), string(LexLessThan), string(LexLessOrEqual),
		string(Contains), string(InSet), string(DeepEquals), string(DeepNotEquals), string(Exists), string(NotExists),
	}
}

package evidence

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/evidence/schema"
)

// Contract says what a provider can be asked (mcp contract §5.4).
type Contract struct {
	ProviderID   gate.ProviderID `member:"provider_id"`
	Name         string          `member:"name"`
	Description  string          `member:"description"`
	Transport    Transport       `member:"transport"`
	ConfigSchema canonical.Value `member:"config_schema"`
	Checks       []Check         `member:"checks"`
	Notes        []string        `member:"notes"`
}

// Transport is how a provider is reached.
type Transport string

// The transports.
const (
	Builtin  Transport = "builtin"
	External Transport = "mcp"
)

// Names returns the transports that a contract may name.
func (Transport) Names() []string { return []string{string(Builtin), string(External)} }

// Check is one question that a provider answers.
type Check struct {
	CheckID            string            `member:"check_id"`
	Description        string            `member:"description"`
	Determinism        Determinism       `member:"determinism"`
	ParamsRequired     bool              `member:"params_required"`
	ParamsSchema       canonical.Value   `member:"params_schema"`
	ResultSchema       canonical.Value   `member:"result_schema"`
	AllowedComparators []gate.Comparator `member:"allowed_comparators"`
	AnchorTypes        []string          `member:"anchor_types"`
	ContentTypes       []string          `member:"content_types"`
	Examples           []Example         `member:"examples"`
}

// Determinism says what the answer of a check depends on.
type Determinism string

// Names returns the kinds of determinism that a contract may name.
func (Determinism) Names() []string { return []string{"deterministic", "time_dependent", "external"} }

// Example is a question and its answer.
type Example struct {
	Description string          `member:"description"`
	Params      canonical.Value `member:"params"`
	Result      canonical.Value `member:"result"`
}

// Hash identifies a contract: the hash of its canonical form.
func (c *Contract) Hash() canonical.HashDigest { return canonical.Hash(*c) }

//go:embed builtin.json
var builtinJSON []byte

// builtinContracts reads the contracts of the built-in providers, which are part of the binary.
func builtinContracts() (map[gate.ProviderID]*Contract, error) {
	v, err := canonical.Parse(builtinJSON)
	if err != nil {
		return nil, err
	}
	var list []Contract
	if err := canonical.Decode(v, &list); err != nil {
		return nil, err
	}
	contracts := make(map[gate.ProviderID]*Contract, len(list))
	for i := range list {
		contracts[list[i].ProviderID] = &list[i]
	}
	return contracts, nil
}

// compiledCheck is a check with its schemas ready for use.
type compiledCheck struct {
	*Check
	// name is PROVIDER.CHECK, as messages say it.
	name           string
	params, result *schema.Schema
}

// checkID refuses the contract of another provider.
func (c *Contract) checkID(id gate.ProviderID) error {
	if c.ProviderID != id {
		return capability(ContractInvalid, "%s: provider id mismatch (expected %s, got %s)", id, id, c.ProviderID)
	}
	return nil
}

// compile checks a contract and compiles its schemas. Of checks with the same id the last wins (mcp contract §5.4).
func (c *Contract) compile() (map[string]*compiledCheck, error) {
	checks := make(map[string]*compiledCheck, len(c.Checks))
	compileSchema := schema.CompileTrusted
	if c.Transport != Builtin {
		// Clients choose what is validated: a schema that takes for ever on some of it would be theirs to use.
		compileSchema = schema.Compile
	}
	for i := range c.Checks {
		check := &c.Checks[i]
		compiled := &compiledCheck{Check: check, name: string(c.ProviderID) + "." + check.CheckID}
		if text := check.comparatorsWrong(); text != "" {
			return nil, capability(ContractInvalid, "%s: check %s %s", c.ProviderID, check.CheckID, text)
		}
		for _, s := range []struct {
			from canonical.Value
			to   **schema.Schema
		}{{check.ParamsSchema, &compiled.params}, {check.ResultSchema, &compiled.result}} {
			var err error
			if *s.to, err = compileSchema(s.from); err != nil {
				return nil, capability(SchemaCompileFailed, "%s: %s", compiled.name, err)
			}
		}
		checks[check.CheckID] = compiled
	}
	return checks, nil
}

// comparatorsWrong says what is wrong with the comparators of a check: there must be some, in the order of contract §4.1.
func (c *Check) comparatorsWrong() string {
	if len(c.AllowedComparators) == 0 {
		return "missing allowed_comparators"
	}
	order := gate.Comparator("").Names()
	last := 0
	for _, comparator := range c.AllowedComparators {
		place := slices.Index(order, string(comparator))
		if place < last {
			return "comparators not in canonical order"
		}
		last = place
	}
	return ""
}

// Code is the code of a capability error (mcp contract §4.6).
type Code string

// The codes, in the order in which a condition is checked.
const (
	ProviderMissing      Code = "provider_missing"
	CheckMissing         Code = "check_missing"
	ParamsMissing        Code = "params_missing"
	ParamsInvalid        Code = "params_invalid"
	ExpectedInvalid      Code = "expected_invalid"
	ComparatorNotAllowed Code = "comparator_not_allowed"
	// The rest refuse a contract at start.
	ContractPathInvalid Code = "contract_path_invalid"
	ContractReadFailed  Code = "contract_read_failed"
	ContractParseFailed Code = "contract_parse_failed"
	ContractInvalid     Code = "contract_invalid"
	DuplicateProvider   Code = "duplicate_provider"
	SchemaCompileFailed Code = "schema_compile_failed"
)

var capabilityTexts = map[Code]string{
	ProviderMissing:      "provider not registered: ",
	CheckMissing:         "check not supported: ",
	ParamsMissing:        "check params required for ",
	ParamsInvalid:        "check params invalid for ",
	ExpectedInvalid:      "check expected value invalid for ",
	ComparatorNotAllowed: "comparator not allowed for ",
	ContractPathInvalid:  "provider capability contract path invalid: ",
	ContractReadFailed:   "provider capability contract read failed: ",
	ContractParseFailed:  "provider capability contract parse failed: ",
	ContractInvalid:      "provider capability contract invalid: ",
	DuplicateProvider:    "duplicate provider id: ",
	SchemaCompileFailed:  "schema compilation failed for ",
}

// CapabilityError says that a provider cannot be asked in this way.
type CapabilityError struct {
	Code Code
	// Text is the message without the code.
	Text string
}

func (e *CapabilityError) Error() string { return string(e.Code) + ": " + e.Text }

func capability(code Code, format string, args ...any) *CapabilityError {
	return &CapabilityError{Code: code, Text: capabilityTexts[code] + fmt.Sprintf(format, args...)}
}

// ValidateQuery checks that the provider is there, has the check, and takes the parameters (mcp contract §4.6). The error
// is a *CapabilityError.
func (r *Registry) ValidateQuery(q gate.EvidenceQuery) error {
	if _, err := r.validateQuery(q); err != nil {
		return err
	}
	return nil
}

// ValidateCondition checks a condition: its query, then what is expected, then the comparator (mcp contract §4.6). The
// error is a *CapabilityError.
func (r *Registry) ValidateCondition(c gate.ConditionSpec) error {
	check, err := r.validateQuery(c.Query)
	if err != nil {
		return err
	}
	if detail := check.expectedWrong(c.Comparator, c.Expected); detail != "" {
		return capability(ExpectedInvalid, "%s: %s", check.name, detail)
	}
	if !slices.Contains(check.AllowedComparators, c.Comparator) {
		return capability(ComparatorNotAllowed, "%s: %s", check.name, c.Comparator)
	}
	return nil
}

// ResultSchema returns the schema of what a check answers, null when there is no such check.
func (r *Registry) ResultSchema(q *gate.EvidenceQuery) canonical.Value {
	check, missing := r.check(q.ProviderID, q.CheckID)
	if missing != nil {
		return canonical.Value{}
	}
	return check.Check.ResultSchema
}

// Describe returns the contract of a provider. The error is a *CapabilityError.
func (r *Registry) Describe(id gate.ProviderID) (*Contract, error) {
	contract, ok := r.Contract(id)
	if !ok {
		return nil, capability(ProviderMissing, "%s", id)
	}
	return contract, nil
}

// DescribeCheck returns a check of a provider. The error is a *CapabilityError.
func (r *Registry) DescribeCheck(id gate.ProviderID, checkID string) (*Check, error) {
	check, err := r.check(id, checkID)
	if err != nil {
		return nil, err
	}
	return check.Check, nil
}

func (r *Registry) check(id gate.ProviderID, checkID string) (*compiledCheck, *CapabilityError) {
	p, ok := r.providers[id]
	if !ok {
		return nil, capability(ProviderMissing, "%s", id)
	}
	check, ok := p.checks[checkID]
	if !ok {
		return nil, capability(CheckMissing, "%s.%s", id, checkID)
	}
	return check, nil
}

func (r *Registry) validateQuery(q gate.EvidenceQuery) (*compiledCheck, *CapabilityError) {
	check, missing := r.check(q.ProviderID, q.CheckID)
	if missing != nil {
		return nil, missing
	}
	switch {
	case q.Params != nil:
		if problems := check.params.Validate(*q.Params); problems != nil {
			return nil, capability(ParamsInvalid, "%s: %s: %s", check.name, check.name, strings.Join(problems, "; "))
		}
	case check.ParamsRequired:
		return nil, capability(ParamsMissing, "%s", check.name)
	}
	return check, nil
}

// expectedWrong says what is wrong with the expected value of a comparator.
func (c *compiledCheck) expectedWrong(comparator gate.Comparator, expected *canonical.Value) string {
	switch comparator {
	case gate.Exists, gate.NotExists:
		if expected != nil {
			return "expected value must be omitted for exists/not_exists"
		}
		return ""
	case gate.InSet:
		if expected == nil || expected.Kind() != canonical.Array {
			return "expected array required for in_set comparator"
		}
		return c.resultsWrong(expected.Items()...)
	}
	if expected == nil {
		return "expected value required for comparator"
	}
	return c.resultsWrong(*expected)
}

// resultsWrong says which of the values cannot be an answer of the check.
func (c *compiledCheck) resultsWrong(values ...canonical.Value) string {
	for _, v := range values {
		if problems := c.result.Validate(v); problems != nil {
			return c.name + ": " + strings.Join(problems, "; ")
		}
	}
	return ""
}

package lint

import (
	"errors"
	"slices"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

var decodeRule = Rule{Code: "decode", Severity: Error, Fix: "Give the member a value of the type that is expected."}

// What decoding says of the two mistakes for which there is better advice than decodeRule's.
const (
	missingField   = "missing field `"
	unknownVariant = "unknown variant `"
)

// refuse reports a document that is JSON, but no scenario.
func (l *linter) refuse(err error) {
	rule, path, message := decodeRule, "", err.Error()
	var decode *canonical.DecodeError
	if errors.As(err, &decode) {
		path, message = decode.Path, decode.Message
	}
	missing, isMissing := strings.CutPrefix(message, missingField)
	switch {
	case isMissing:
		rule.Fix = "Add the member."
		if given := l.takeMisspelled(path, strings.TrimSuffix(missing, "`")); given != "" {
			rule.Fix = "Rename the member."
			path, message = join(path, given), message+": `"+clip(given)+"` stands in its place"
		}
	case strings.HasPrefix(message, unknownVariant):
		rule.Fix = "Use one of those."
	}
	l.reporter(rule)(path, "%s", message)
}

// takeMisspelled removes the finding on an unknown member that is near to one that is missing at the same place, and returns
// its name: it is one mistake.
func (l *linter) takeMisspelled(object, missing string) string {
	for i, f := range l.report.Findings {
		given, inside := strings.CutPrefix(f.Path, join(object, ""))
		if f.Code != memberRule.Code || !inside || strings.ContainsAny(given, ".[") || suggest(given, []string{missing}) == "" {
			continue
		}
		l.report.Findings = slices.Delete(l.report.Findings, i, i+1)
		l.report.Warnings--
		return given
	}
	return ""
}

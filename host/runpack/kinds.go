package runpack

import "github.com/decision-gate-host/decision-gate-host/host/canonical"

// floats is a value in which every number is of kind F that could have been: canonical bytes do not tell 1 from 1.0, while
// comparators do ([P-02]). Reading numbers as integers finds most of them equal to one another, and reading those of one
// side as floats the fewest; every comparator that looks at kinds is monotone between the two.
func floats(v canonical.Value) canonical.Value {
	switch v.Kind() {
	case canonical.Unsigned, canonical.Negative:
		f, _ := v.Float()
		float := canonical.NewFloat(f)
		// An integer beyond 2^53 may have no float with the same bytes: then it was none.
		if string(canonical.AppendValue(nil, float, canonical.Canonical)) == string(canonical.AppendValue(nil, v, canonical.Canonical)) {
			return float
		}
		return v
	case canonical.Array:
		items := make([]canonical.Value, len(v.Items()))
		for i, item := range v.Items() {
			items[i] = floats(item)
		}
		return canonical.NewArray(items)
	case canonical.Object:
		members := make([]canonical.Member, len(v.Members()))
		for i, m := range v.Members() {
			members[i] = canonical.Member{Name: m.Name, Value: floats(m.Value)}
		}
		return canonical.NewObject(members)
	default:
		return v
	}
}

package pgtest

import (
	"fmt"
	"strings"

	"github.com/decision-gate-host/decision-gate-host/plugins/store-postgres/internal/postgres"
)

// Variant is a way in which the functions of a database differ from those of the plugin.
type Variant string

const (
	// Unconditional functions ask for no tenant: row-level security alone decides which rows there are.
	Unconditional Variant = "unconditional"
	// Gullible functions show row-level security the tenant of each key, whoever it is read in the name of. They are wrong.
	Gullible Variant = "gullible"
)

// variants are what stands in the functions, and what takes its place.
var variants = map[Variant][]string{
	Unconditional: {
		"tenant = in_tenants[i] AND namespace", "namespace",
		"tenant = in_tenants[v_first] AND namespace", "namespace",
		"%s tenant = $1 AND namespace", "%s $1::bigint IS NOT NULL AND namespace",
	},
	Gullible: {
		"in_behalves[i]", "in_tenants[i]",
		"in_group_behalves[g]", "in_tenants[v_first]",
		"in_behalf::text", "in_tenant::text",
	},
}

// Vary gives a database the functions of a variant.
func (s *Server) Vary(database string, v Variant) error {
	sql, err := postgres.Functions()
	if err != nil {
		return err
	}
	pairs := variants[v]
	if pairs == nil {
		return fmt.Errorf("there is no variant %q", v)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(sql, pairs[i]) {
			return fmt.Errorf("variant %s: the functions do not hold %q any more", v, pairs[i])
		}
		sql = strings.ReplaceAll(sql, pairs[i], pairs[i+1])
	}
	return s.Exec(database, "SET ROLE decision_gate_owner;\n"+sql)
}

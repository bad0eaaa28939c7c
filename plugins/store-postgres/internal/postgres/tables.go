package postgres

import (
	"cmp"
	_ "embed"
	"slices"
	"strings"
	"text/template"

	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// table is where the records of one collection are, or those of all that have no table of their own.
type table struct {
	// Number is what the functions call it by: its place in tables, from 1.
	Number int16
	Name   string
	// Other: the table has a column for the collection.
	Other bool
}

// tables are those of the newest migration. The functions look from the first on, so the busy ones stand there. A host may
// name collections that are newer than the plugin: they share the last table, because the plugin's role cannot create one.
var tables = number("run_steps", "runs", "run_triggers", "run_packets", "run_submissions", "usage", "quotas", "scenarios", "schemas", "schema_counts",
	"tenants", "namespaces", "members", "api_keys", "audit_heads", "other_records")

var (
	other   = tables[len(tables)-1]
	tableOf = index(tables[:len(tables)-1])
)

func number(names ...string) []table {
	numbered := make([]table, len(names))
	for i, name := range names {
		numbered[i] = table{Number: int16(i + 1), Name: name, Other: i == len(names)-1}
	}
	return numbered
}

func index(tables []table) map[string]table {
	byName := make(map[string]table, len(tables))
	for _, t := range tables {
		byName[t.Name] = t
	}
	return byName
}

// place is a key as the functions take it.
type place struct {
	table             int16
	collection        string
	tenant, namespace int64
	path              []byte
	// behalf is the tenant that row-level security shows: the one in whose name the record is touched, else that of the key.
	behalf int64
}

// scopePlace is a scope of a collection.
func scopePlace(collection string, tenant, namespace, behalf uint64) place {
	t, ok := tableOf[collection]
	if !ok {
		t = other
	}
	// SQL has no unsigned numbers: the bits are kept. Nothing is ordered by them.
	return place{table: t.Number, collection: collection, tenant: int64(tenant), namespace: int64(namespace), behalf: int64(cmp.Or(behalf, tenant))}
}

// numbersOf are the tables of collections; none means all.
func numbersOf(collections []string) []int16 {
	if len(collections) == 0 {
		numbers := make([]int16, len(tables))
		for i, t := range tables {
			numbers[i] = t.Number
		}
		return numbers
	}
	var numbers []int16
	for _, collection := range collections {
		if n := scopePlace(collection, 0, 0, 0).table; !slices.Contains(numbers, n) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

func placeOf(k store.Key) place {
	p := scopePlace(k.Collection, k.Tenant, k.Namespace, k.Behalf)
	p.path = appendPath(nil, k.Path)
	return p
}

// key is the key of a place.
func (p place) key() (store.Key, error) {
	if p.table < 1 || int(p.table) > len(tables) {
		return store.Key{}, errKey()
	}
	if t := tables[p.table-1]; !t.Other {
		p.collection = t.Name
	}
	path, err := parsePath(p.path)
	if err != nil {
		return store.Key{}, err
	}
	key := store.Key{Collection: p.collection, Tenant: uint64(p.tenant), Namespace: uint64(p.namespace), Path: path}
	if key.Validate() != nil {
		return store.Key{}, fault.New(fault.Corrupt, "a stored key passes the limits of the protocol; stop the hosts and restore a backup")
	}
	return key, nil
}

// places are keys in columns, as the functions take them.
type places struct {
	tables              []int16
	collections         []string
	tenants, namespaces []int64
	paths               [][]byte
	behalves            []int64
}

// newPlaces has room for n.
func newPlaces(n int) *places {
	return &places{
		tables: make([]int16, 0, n), collections: make([]string, 0, n), tenants: make([]int64, 0, n), namespaces: make([]int64, 0, n),
		paths: make([][]byte, 0, n), behalves: make([]int64, 0, n),
	}
}

func (ps *places) add(p place) {
	ps.tables = append(ps.tables, p.table)
	ps.collections = append(ps.collections, p.collection)
	ps.tenants = append(ps.tenants, p.tenant)
	ps.namespaces = append(ps.namespaces, p.namespace)
	ps.paths = append(ps.paths, p.path)
	ps.behalves = append(ps.behalves, p.behalf)
}

//go:embed functions.sql.tmpl
var functionsTemplate string

// Functions is the SQL that makes the functions and views for the tables, to be run in a transaction as decision_gate_owner.
func Functions() (string, error) {
	parsed, err := template.New("functions").Parse(functionsTemplate)
	if err != nil {
		return "", err
	}
	var sql strings.Builder
	err = parsed.Execute(&sql, map[string]any{"Tables": tables, "Other": other.Number})
	return sql.String(), err
}

package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
	"github.com/decision-gate-host/decision-gate-host/host/internal/runs/faultystore"
	"github.com/decision-gate-host/decision-gate-host/sdk/fault"
	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

// scenario is a minimal one; tenant 0 makes it shared.
func scenario(t interface{ Fatal(...any) }, id string, tenant gate.TenantID, namespace gate.NamespaceID, version string) *gate.Scenario {
	spec := gate.ScenarioSpec{
		ScenarioID: gate.ScenarioID(id), NamespaceID: namespace, SpecVersion: version,
		Stages: []gate.StageSpec{{
			StageID: "a", EntryPackets: []gate.PacketSpec{}, Gates: []gate.GateSpec{},
			AdvanceTo: gate.AdvanceTo{Kind: gate.Terminal}, OnTimeout: gate.FailOnTimeout,
		}},
		Conditions: []gate.ConditionSpec{}, Policies: []gate.PolicyRef{}, Schemas: []gate.SchemaRef{},
	}
	if tenant != sharedTenant {
		spec.DefaultTenantID = &tenant
	}
	compiled, err := gate.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// TestDefine is the table of who may define what again: an identical definition once in each process, another one never,
// and nobody learns by a conflict what another tenant has.
func TestDefine(t *testing.T) {
	shared := faultystore.New()
	one, two := New(shared), New(shared)
	for i, step := range []struct {
		host    *Registry
		tenant  gate.TenantID
		version string
		want    error
	}{
		{one, 1, "1", nil},
		{one, 1, "1", ErrScenarioExists},
		{one, 1, "2", ErrScenarioExists},
		{two, 1, "2", ErrScenarioExists},
		{two, 1, "1", nil},
		{two, 1, "1", ErrScenarioExists},
		{one, 2, "2", nil},
		{one, 0, "3", nil},
		{two, 0, "4", ErrScenarioExists},
		{two, 2, "2", nil},
		{New(shared), 1, "1", nil},
		{New(shared), 1, "2", ErrScenarioExists},
		{one, 1<<64 - 1, "9", nil},
	} {
		s := scenario(t, "s", step.tenant, 1, step.version)
		if defined := step.host.Defined(t.Context(), s.Spec()); defined && step.want == nil {
			t.Errorf("step %d: Defined says that it would conflict", i)
		}
		if err := step.host.Define(t.Context(), s); !errors.Is(err, step.want) || err != nil && step.want == nil {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
	for tenant, want := range map[gate.TenantID]string{1: "1", 2: "2", 3: "3", 1<<64 - 1: "9"} {
		if s, err := two.Scenario(t.Context(), tenant, "s"); err != nil || s.Spec().SpecVersion != want {
			t.Errorf("tenant %d finds %+v, %v; want version %s", tenant, s, err, want)
		}
	}
}

// TestDefineTwin defines a spec that has the hash of the one stored but decides otherwise ([F-09]): it is another one.
func TestDefineTwin(t *testing.T) {
	with := func(expected string) *gate.Scenario {
		spec := *scenario(t, "s", 1, 1, "1").Spec()
		v, err := canonical.Parse([]byte(expected))
		if err != nil {
			t.Fatal(err)
		}
		spec.Conditions = []gate.ConditionSpec{{ConditionID: "c", Query: gate.EvidenceQuery{ProviderID: "p", CheckID: "k"}, Comparator: "in_set", Expected: &v, PolicyTags: []string{}}}
		compiled, err := gate.Compile(spec)
		if err != nil {
			t.Fatal(err)
		}
		return compiled
	}
	if with(`[1]`).Hash() != with(`[1.0]`).Hash() {
		t.Fatal("the twins have different hashes")
	}
	shared := faultystore.New()
	if err := New(shared).Define(t.Context(), with(`[1]`)); err != nil {
		t.Fatal(err)
	}
	if err := New(shared).Define(t.Context(), with(`[1.0]`)); !errors.Is(err, ErrScenarioExists) {
		t.Errorf("the twin: %v", err)
	}
	if err := New(shared).Define(t.Context(), with(`[1]`)); err != nil {
		t.Errorf("the same: %v", err)
	}
}

// TestDefineLostAnswer has the commit happen and its answer get lost: the client's second call is told of success.
func TestDefineLostAnswer(t *testing.T) {
	s := faultystore.New()
	r := New(s)
	s.Around(func(_ context.Context, _ faultystore.Call, do func()) error {
		do()
		return fault.New(fault.Unavailable, "away")
	})
	if err := r.Define(t.Context(), scenario(t, "s", 1, 1, "1")); !fault.Is(err, fault.Unavailable) {
		t.Fatalf("got %v", err)
	}
	s.Around(nil)
	if err := r.Define(t.Context(), scenario(t, "s", 1, 1, "1")); err != nil {
		t.Errorf("the repeat: %v", err)
	}
}

// TestDefineRace defines the same scenario from many clients of one process: one is told that it has.
func TestDefineRace(t *testing.T) {
	r := New(faultystore.New())
	var won atomic.Int32
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			switch err := r.Define(t.Context(), scenario(t, "s", 1, 1, "1")); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, ErrScenarioExists):
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d definitions succeeded", won.Load())
	}
}

// hostileIDs are ids as clients may send them: empty, with NUL, very long, alike but for case or form.
var hostileIDs = []string{
	"", "\x00", "a", "A", "a/b", "a/b/c", "é", "e\u0301", "\ufffd", "\uffff", "..", "../a", strings.Repeat("a", 255), strings.Repeat("a", 256), strings.Repeat("a", 300),
	strings.Repeat("b", 300), strings.Repeat("\x00", 300), "%00", "z", "🦀",
}

// TestHostileIDs keeps ids apart that a careless key would make one.
func TestHostileIDs(t *testing.T) {
	r := New(faultystore.New())
	for _, id := range hostileIDs {
		if err := r.Define(t.Context(), scenario(t, id, 1, 1, "of "+id)); err != nil {
			t.Errorf("%.20q: %v", id, err)
		}
	}
	fresh := New(r.store)
	for _, id := range hostileIDs {
		s, err := fresh.Scenario(t.Context(), 1, gate.ScenarioID(id))
		if err != nil || s.Spec().SpecVersion != "of "+id {
			t.Errorf("%.20q: %v", id, err)
		}
	}
}

// TestScenarioPages walks pages of any size through two id spaces, other namespaces and ids of any length: every scenario
// comes once, the tenant's own before the shared one of its id, and the walk ends.
func TestScenarioPages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := New(faultystore.New())
		ids := rapid.SliceOfDistinct(rapid.SampledFrom(hostileIDs), rapid.ID)
		own, shared, elsewhere := ids.Draw(t, "own"), ids.Draw(t, "shared"), ids.Draw(t, "elsewhere")
		want := map[string]string{}
		for _, id := range shared {
			s := scenario(t, id, sharedTenant, 1, "shared")
			_ = r.Define(context.Background(), s)
			want[id] = s.Hash().Value
		}
		for _, id := range own {
			s := scenario(t, id, 1, 1, "own")
			_ = r.Define(context.Background(), s)
			want[id] = s.Hash().Value
		}
		for _, id := range elsewhere {
			_ = r.Define(context.Background(), scenario(t, id, 2, 1, "another tenant's"))
			_ = r.Define(context.Background(), scenario(t, id+"'", 1, 2, "another namespace's"))
			_ = r.Define(context.Background(), scenario(t, id, 1, 2, "of the tenant, in another namespace"))
		}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		got := map[string]string{}
		var after *gate.ScenarioID
		for range len(want) + 1 {
			page, err := r.Scenarios(context.Background(), 1, 1, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				t.Fatalf("a page of %d, want at most %d", len(page), limit)
			}
			for _, item := range page {
				if _, twice := got[string(item.ScenarioID)]; twice {
					t.Fatalf("%.20q comes twice", item.ScenarioID)
				}
				got[string(item.ScenarioID)] = item.SpecHash.Value
			}
			after = &page[len(page)-1].ScenarioID
		}
		for id, hash := range want {
			if got[id] != hash {
				t.Fatalf("%.20q is listed with %q, want %q", id, got[id], hash)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d are listed, want %d", len(got), len(want))
		}
	})
}

// TestUnknownScenarioCursor starts a list again after an id that is not in it, though the tenant has it elsewhere.
func TestUnknownScenarioCursor(t *testing.T) {
	r := New(faultystore.New())
	for _, s := range []*gate.Scenario{
		scenario(t, "b", 1, 1, "1"), scenario(t, "d", sharedTenant, 1, "1"),
		scenario(t, "c", 1, 2, "another namespace's"), scenario(t, "cc", 2, 1, "another tenant's"),
	} {
		if err := r.Define(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	for after, want := range map[gate.ScenarioID]string{"": "[b d]", "a": "[b d]", "b": "[d]", "c": "[b d]", "cc": "[b d]", "d": "[]", "e": "[b d]"} {
		page, err := r.Scenarios(t.Context(), 1, 1, &after, 10)
		ids := []gate.ScenarioID{}
		for _, item := range page {
			ids = append(ids, item.ScenarioID)
		}
		if got := fmt.Sprint(ids); err != nil || got != want {
			t.Errorf("after %q: %s, %v; want %s", after, got, err, want)
		}
	}
}

// TestCacheIsBounded uses more scenarios than fit: the oldest are dropped, and are found again.
func TestCacheIsBounded(t *testing.T) {
	r := New(faultystore.New())
	const size = maxCachedBytes / 8
	for i := range 12 {
		s := scenario(t, fmt.Sprint(i), 1, 1, strings.Repeat("x", size))
		if err := r.Define(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Scenario(t.Context(), 1, s.Spec().ScenarioID); err != nil {
			t.Fatal(err)
		}
		if r.scenarios.bytes > maxCachedBytes || len(r.scenarios.entries) > 8 || len(r.scenarios.entries) == 0 {
			t.Fatalf("%d scenarios of %d bytes are kept", len(r.scenarios.entries), r.scenarios.bytes)
		}
	}
	for i := range 12 {
		if err := r.Known(t.Context(), 1, gate.ScenarioID(fmt.Sprint(i))); err != nil {
			t.Error(err)
		}
	}
}

func shape(id, version string) DataShape {
	return DataShape{TenantID: 1, NamespaceID: 1, SchemaID: id, Version: version, Schema: canonical.NewBool(true), CreatedAt: gate.Timestamp{Kind: gate.Logical}}
}

// TestSchemaKeys keeps schemas apart whose ids and versions hold the characters that a joined key would be split at ([F-19]).
func TestSchemaKeys(t *testing.T) {
	r := New(faultystore.New())
	for _, ref := range []ShapeRef{{"a/b", "c"}, {"a", "b/c"}, {"a/b/c", ""}, {"", "a/b/c"}, {"a\x00b", "c"}, {"a", "b\x00c"}, {"A", "b/c"}} {
		if err := r.Register(t.Context(), shape(ref.SchemaID, ref.Version), 100); err != nil {
			t.Errorf("%q: %v", ref, err)
		}
		if got, err := r.Schema(t.Context(), 1, 1, ref); err != nil || got.SchemaID != ref.SchemaID || got.Version != ref.Version {
			t.Errorf("%q: %q %q, %v", ref, got.SchemaID, got.Version, err)
		}
	}
}

// TestRegister is the table of refusals: the limit is a namespace's own, and tells before the duplicate.
func TestRegister(t *testing.T) {
	r := New(faultystore.New())
	elsewhere := shape("a", "1")
	elsewhere.NamespaceID = 2
	for i, step := range []struct {
		shape DataShape
		want  error
	}{
		{shape("a", "1"), nil},
		{shape("a", "1"), ErrSchemaExists},
		{shape("a", "2"), nil},
		{shape("b", "1"), ErrRegistryFull},
		{shape("a", "1"), ErrRegistryFull},
		{elsewhere, nil},
	} {
		if err := r.Register(t.Context(), step.shape, 2); !errors.Is(err, step.want) || err != nil && step.want == nil {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
	for namespace, want := range map[gate.NamespaceID]bool{1: true, 3: false} {
		if full, err := r.Full(t.Context(), 1, namespace, 2); err != nil || full != want {
			t.Errorf("namespace %d is full: %t, %v; want %t", namespace, full, err, want)
		}
	}
	if _, err := r.Schema(t.Context(), 2, 1, ShapeRef{"a", "1"}); !errors.Is(err, ErrNoSchema) {
		t.Errorf("another tenant finds it: %v", err)
	}
}

// TestRegisterRace registers from two hosts at once: the limit holds.
func TestRegisterRace(t *testing.T) {
	shared := faultystore.New()
	hosts := []*Registry{New(shared), New(shared)}
	var registered atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if hosts[i%2].Register(t.Context(), shape(fmt.Sprint(i), "1"), 7) == nil {
				registered.Add(1)
			}
		})
	}
	wg.Wait()
	if registered.Load() != 7 || shared.Len(schemaCollection) != 7 {
		t.Errorf("%d were registered, %d are stored", registered.Load(), shared.Len(schemaCollection))
	}
}

// TestSchemaPages walks pages of small and large schemas; a page of large ones is short, and the walk misses none. A cursor
// that names no schema goes on after where it would be ([F-19]).
func TestSchemaPages(t *testing.T) {
	r := New(faultystore.New())
	var want []ShapeRef
	for i := range 12 {
		s := shape(fmt.Sprintf("s%02d", i/2), fmt.Sprint(i%2))
		if i > 5 {
			s.Schema = canonical.NewString(strings.Repeat("x", maxPageBytes/2))
		}
		if err := r.Register(t.Context(), s, 100); err != nil {
			t.Fatal(err)
		}
		want = append(want, ShapeRef{s.SchemaID, s.Version})
	}
	for _, limit := range []int{1, 5, 12, 1000} {
		var got []ShapeRef
		var after *ShapeRef
		for range 20 {
			page, err := r.Schemas(t.Context(), 1, 1, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			size := 0
			for _, s := range page {
				got = append(got, ShapeRef{s.SchemaID, s.Version})
				text, _ := s.Schema.Text()
				size += len(text)
			}
			if size > maxPageBytes+maxPageBytes/2 {
				t.Errorf("limit %d: a page of %d bytes", limit, size)
			}
			after = &got[len(got)-1]
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: %v", limit, got)
		}
	}
	page, err := r.Schemas(t.Context(), 1, 1, &ShapeRef{"s02", "00"}, 1)
	if err != nil || len(page) != 1 || page[0].SchemaID != "s02" || page[0].Version != "1" {
		t.Errorf("after an unknown cursor: %+v, %v", page, err)
	}
}

// TestDamagedDefinitions changes what is stored: that it is damaged is not the caller's fault.
func TestDamagedDefinitions(t *testing.T) {
	for _, body := range []string{"", "{}", "[]", `{"spec":{},"spec_hash":{}}`, "\xff"} {
		s := faultystore.New()
		r := New(s)
		_ = r.Define(t.Context(), scenario(t, "s", 1, 1, "1"))
		_ = r.Register(t.Context(), shape("a", "1"), 10)
		replace := func(store.Key, []byte) []byte { return []byte(body) }
		s.Edit(scenarioCollection, replace)
		s.Edit(schemaCollection, replace)
		_, find := r.Scenario(t.Context(), 1, "s")
		_, list := r.Scenarios(t.Context(), 1, 1, nil, 10)
		_, shape := r.Schema(t.Context(), 1, 1, ShapeRef{"a", "1"})
		_, shapes := r.Schemas(t.Context(), 1, 1, nil, 10)
		again := New(s).Define(t.Context(), scenario(t, "s", 1, 1, "1"))
		for name, err := range map[string]error{"find": find, "list": list, "schema": shape, "schemas": shapes, "define": again} {
			if !fault.Is(err, fault.Corrupt) {
				t.Errorf("%q: %s: %v", body, name, err)
			}
		}
	}
}

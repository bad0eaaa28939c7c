package runpack

import (
	"context"
	"strings"
	"testing"
)

// Reading shows every record once, with the decision that it belongs to.
func TestRead(t *testing.T) {
	ctx := context.Background()
	b, err := Open(ctx, goldenBundle(t), DefaultManifest, Options{})
	if err != nil || b.SpecError != nil {
		t.Fatal(err, b.SpecError)
	}
	var decisions, gates, packets, submissions, calls uint64
	for step, err := range b.Steps(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if decisions++; step.Decision.Seq != decisions || step.Trigger.Event.TriggerID != step.Decision.TriggerID {
			t.Errorf("step %d is %+v", decisions, step.Decision)
		}
		gates += uint64(len(step.Gates))
		packets += uint64(len(step.Packets))
	}
	for _, err := range b.Submissions(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		submissions++
	}
	for _, err := range b.ToolCalls(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		calls++
	}
	report, err := Verify(ctx, goldenBundle(t), DefaultManifest, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := report.DecisionGate.Checked
	if decisions != want.Decisions || gates != want.Gates || packets != want.Packets || submissions != want.Submissions || calls != want.ToolCalls {
		t.Errorf("read %d decisions, %d gates, %d packets, %d submissions, %d calls; verified %+v", decisions, gates, packets, submissions, calls, want)
	}
}

// A damaged bundle shows what can be read, and says where it ends.
func TestReadDamaged(t *testing.T) {
	ctx := context.Background()
	bundle := goldenBundle(t)
	bundle[SpecPath] = []byte("{}")
	bundle[PacketsPath] = []byte("[]")
	bundle[TriggersPath] = append(bundle[TriggersPath][:len(bundle[TriggersPath])-1], `,{}]`...)
	b, err := Open(ctx, bundle, DefaultManifest, Options{})
	if err != nil || b.Spec != nil || b.SpecError == nil {
		t.Fatalf("spec %v, errors %v, %v", b.Spec, err, b.SpecError)
	}
	steps, last := 0, error(nil)
	for _, err := range b.Steps(ctx) {
		if last = err; err == nil {
			steps++
		}
	}
	if steps == 0 || last == nil || !strings.Contains(last.Error(), TriggersPath) {
		t.Errorf("%d steps, then %v", steps, last)
	}
	bundle[SubmissionsPath] = []byte("{}")
	for _, err := range b.Submissions(ctx) {
		if err == nil || !strings.Contains(err.Error(), SubmissionsPath) {
			t.Errorf("submissions: %v", err)
		}
	}
}

package runpack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

func elements(in io.Reader) (out []string, loose bool, err error) {
	a := newArrayReader(in)
	for {
		element, err := a.next()
		if errors.Is(err, io.EOF) {
			return out, a.loose, nil
		}
		if err != nil {
			return out, a.loose, err
		}
		out = append(out, string(element))
	}
}

func TestArrayReader(t *testing.T) {
	for _, test := range []struct {
		in, want, err string
		loose         bool
	}{
		{in: `[]`, want: ``},
		{in: `[ ]`, want: ``, loose: true},
		{in: "[1] \n", want: `1`, loose: true},
		{in: `[1,"a,]\"[",{"b":[1,{}]},[]]`, want: `1|"a,]\"["|{"b":[1,{}]}|[]`},
		{in: `["\\",2]`, want: `"\\"|2`},
		{in: `[1,]`, want: `1|`},
		{in: `[,]`, want: `|`},
		{in: `[1`, err: `EOF while parsing a list`},
		{in: `["]`, err: `EOF while parsing a list`},
		{in: `[1]]`, err: `trailing characters after the sequence`},
		{in: ``, err: `EOF while parsing a value at line 1 column 0`},
		{in: `{}`, err: `invalid type: map, expected a sequence at line 1 column 0`},
		{in: `"a"`, err: `invalid type: string, expected a sequence at line 1 column 0`},
		{in: `-1`, err: `invalid type: number, expected a sequence at line 1 column 0`},
		{in: `true`, err: `invalid type: boolean, expected a sequence at line 1 column 0`},
		{in: `null`, err: `invalid type: null, expected a sequence at line 1 column 0`},
		{in: `x`, err: `expected value at line 1 column 1`},
	} {
		for _, in := range []io.Reader{strings.NewReader(test.in), iotest.OneByteReader(strings.NewReader(test.in))} {
			got, loose, err := elements(in)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != test.err || err == nil && (strings.Join(got, "|") != test.want || loose != test.loose) {
				t.Errorf("%s: %q, loose %t, error %q", test.in, got, loose, text)
			}
		}
	}
}

// FuzzArrayReader splits whatever the parser takes for an array as the parser does, and takes nothing else for one.
func FuzzArrayReader(f *testing.F) {
	for _, seed := range []string{`[]`, `[1,"a,]\"[",{"b":[1,{}]}]`, `[ 1 , 2 ]`, `[[]`, `["\u00`, `[1,]`, `[}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		got, _, err := elements(bytes.NewReader(in))
		var items []canonical.Value
		for _, element := range got {
			v, parseErr := canonical.Parse([]byte(element))
			err = errors.Join(err, parseErr)
			items = append(items, v)
		}
		want, wantErr := canonical.Parse(in)
		isArray := wantErr == nil && want.Kind() == canonical.Array
		// A document one level deeper than the parser's limit is fine as elements.
		if deep := wantErr != nil && strings.Contains(wantErr.Error(), "recursion limit"); isArray != (err == nil) && !deep {
			t.Fatalf("%q: %v, the parser says %v", in, err, wantErr)
		}
		if isArray && !canonical.Equal(canonical.NewArray(items), want) {
			t.Fatalf("%q: %q", in, got)
		}
	})
}

// FuzzVerify gives hostile bytes to every log; nothing may panic, and only the golden bytes may pass.
func FuzzVerify(f *testing.F) {
	sound := goldenRun(fuzzTB{f}).build()
	for i := range layout {
		f.Add(uint8(i), sound[layout[i].path])
	}
	f.Add(uint8(4), []byte(`[{"decision_id":"decision-1","envelope":null,"payload":{"kind":"external","content_ref":null},"receipts":[]}]`))
	f.Add(uint8(3), []byte(`[{"outcome":{"kind":"hold","summary":null}}]`))
	f.Fuzz(func(t *testing.T, which uint8, content []byte) {
		bundle := sound.clone()
		path := layout[int(which)%len(layout)].path
		bundle[path] = content
		bundle.rehash(t, DefaultManifest)
		report, err := Verify(t.Context(), bundle, DefaultManifest, Options{Replay: true})
		if err != nil {
			t.Fatal(err)
		}
		if report.Verdict() == Pass && (path == DecisionsPath || path == TriggersPath) && !bytes.Equal(content, sound[path]) {
			t.Fatalf("%s passes: %s", path, content)
		}
	})
}

// fuzzTB gives helpers a context before fuzzing begins.
type fuzzTB struct{ *testing.F }

func (fuzzTB) Context() context.Context { return context.Background() }

// TestHugeRecord has a log that is one endless record.
func TestHugeRecord(t *testing.T) {
	bundle := goldenBundle(t)
	bundle[DecisionsPath] = append([]byte(`["`), bytes.Repeat([]byte("a"), MaxRecord)...)
	report := verify(t, bundle)
	want := fmt.Sprintf("record 1 is over %d bytes", MaxRecord)
	if text := strings.Join(report.Errors, "\n"); !strings.Contains(text, "invalid decision log: "+want) || !strings.Contains(list(report), want) {
		t.Errorf("%s\n%s", text, list(report))
	}
}

// TestHugeStep has a log of records that all claim to belong to one step.
func TestHugeStep(t *testing.T) {
	bundle := goldenBundle(t)
	edit(t, bundle, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
		e[0].Evidence[0].Result.Value.JSON = canonical.NewString(strings.Repeat("a", MaxRecord/4))
		var many []gate.GateEvalRecord
		for range maxStep/(MaxRecord/4) + 1 {
			many = append(many, e[0])
		}
		return many
	})
	if text := list(verify(t, bundle)); !strings.Contains(text, fmt.Sprintf("the records of the step are over %d bytes [decision 2]", maxStep)) {
		t.Errorf("findings\n%.1000s", text)
	}
}

func TestMaxArtifact(t *testing.T) {
	d := create(t, t.TempDir())
	if _, err := Build(t.Context(), goldenRun(t).input(), d); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]Reader{"known size": d, "unknown size": goldenRun(t).build()} {
		report, err := Verify(t.Context(), r, DefaultManifest, Options{MaxArtifactBytes: 3900})
		if err != nil {
			t.Fatal(err)
		}
		const want = "artifact read failed for artifacts/gate_evals.json: artifact too large: artifacts/gate_evals.json (3995 > 3900)"
		if len(report.Errors) != 1 || report.Errors[0] != want {
			t.Errorf("%s: %v", name, report.Errors)
		}
	}
}

// TestManyFindings has as many errors as a manifest can name files; the report stays small.
func TestManyFindings(t *testing.T) {
	bundle := goldenBundle(t)
	manifest, err := parseManifest(bundle[DefaultManifest])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2 * maxErrors {
		manifest.Integrity.FileHashes = append(manifest.Integrity.FileHashes, FileHash{Path: fmt.Sprintf("./x%d", i)})
		bundle[fmt.Sprintf("y%d", i)] = nil
	}
	for i := range manifest.Integrity.FileHashes {
		manifest.Integrity.FileHashes[i].Hash.Algorithm = canonical.SHA256
	}
	bundle[DefaultManifest] = manifest.bytes()
	report := verify(t, bundle)
	if len(report.Errors) != maxErrors || len(report.DecisionGate.Findings) > maxFindings || report.DecisionGate.Omitted == 0 {
		t.Errorf("%d errors, %d findings, %d omitted", len(report.Errors), len(report.DecisionGate.Findings), report.DecisionGate.Omitted)
	}
	if len(report.DecisionGate.Notes) == 0 || !strings.HasPrefix(report.DecisionGate.Notes[0], "only the first") {
		t.Errorf("notes %q", report.DecisionGate.Notes)
	}
}

// counting counts the readings of a bundle's files.
type counting struct {
	memory
	opened map[string]int
}

func (c *counting) Open(ctx context.Context, path string) (io.ReadCloser, int64, error) {
	c.opened[path]++
	return c.memory.Open(ctx, path)
}

// TestRepeatedFile names one file a thousand times, under many spellings: it is read a few times.
func TestRepeatedFile(t *testing.T) {
	bundle := goldenBundle(t)
	manifest, err := parseManifest(bundle[DefaultManifest])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		manifest.Integrity.FileHashes = append(manifest.Integrity.FileHashes,
			FileHash{Path: strings.Repeat("./", i) + PacketsPath, Hash: canonical.HashBytes(bundle[PacketsPath])})
	}
	bundle[DefaultManifest] = manifest.bytes()
	reader := &counting{memory: bundle, opened: map[string]int{}}
	report, err := Verify(t.Context(), reader, DefaultManifest, Options{})
	if err != nil || report.CheckedFiles != 1007 || report.Verdict() != Fail {
		t.Errorf("%v, %d files checked", err, report.CheckedFiles)
	}
	if n := reader.opened[PacketsPath]; n > 2 {
		t.Errorf("the file was read %d times", n)
	}
}

func TestBuildErrors(t *testing.T) {
	in := goldenRun(t).input()
	in.SpecHash = canonical.HashBytes(nil)
	if _, err := Build(t.Context(), in, memory{}); !errors.Is(err, ErrSpecHash) || err.Error() != "hashing error: run state spec hash mismatch" {
		t.Errorf("another spec: %v", err)
	}
	in = goldenRun(t).input()
	broken := errors.New("the store is gone")
	in.Steps = func(yield func(gate.Step, error) bool) { yield(gate.Step{}, broken) }
	bundle := memory{}
	if _, err := Build(t.Context(), in, bundle); !errors.Is(err, broken) || len(bundle) > 0 {
		t.Errorf("broken steps: %v, %d files written", err, len(bundle))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, goldenRun(t).input(), bundle); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if _, err := Verify(ctx, goldenBundle(t), DefaultManifest, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled verification: %v", err)
	}
	in = goldenRun(t).input()
	in.Spool = DiskSpool("/nonexistent")
	if _, err := Build(t.Context(), in, bundle); err == nil || !strings.Contains(err.Error(), "spool the bundle") {
		t.Errorf("no spool: %v", err)
	}
}

// longRun makes the steps of a long run one by one.
func longRun(t *testing.T, steps int, each func()) (Input, iter.Seq2[gate.Step, error]) {
	r := newRig(t, spec(t, plainStage, condition("c", "equals", `1`)), &gate.Settings{})
	r.start(config, millis(0), true)
	text := strings.Repeat("evidence ", 256)
	return r.input(), func(yield func(gate.Step, error) bool) {
		head := r.head
		if !yield(r.steps[0], nil) {
			return
		}
		for i := range steps {
			event := gate.TriggerEvent{
				TriggerID: gate.TriggerID(fmt.Sprintf("trigger-%d", i)), TenantID: 1, NamespaceID: 1, RunID: "r", Kind: gate.ExternalEvent, Time: millis(int64(i)),
			}
			result := jsonResult(t, fmt.Sprintf("%q", fmt.Sprint(i, text)))
			transition, _, err := r.scenario.Trigger(head, event.Call(), nil, map[gate.ConditionID]gate.Answer{"c": {Result: result}}, &gate.Settings{})
			if !yield(transition.Step, err) {
				return
			}
			head = transition.Head
			if i%500 == 0 {
				each()
			}
		}
	}
}

// TestMemory builds and verifies a bundle of 20,000 steps, of which each alone has more than 2 KiB.
func TestMemory(t *testing.T) {
	const steps, bound = 20_000, 24 << 20
	var peak uint64
	sample := func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	runtime.GC()
	sample()
	base := peak
	in, sequence := longRun(t, steps, sample)
	in.Steps = sequence
	d := create(t, t.TempDir())
	result, err := Build(t.Context(), in, d)
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Oversized) == 0 || result.Oversized[0] != GateEvalsPath {
		t.Errorf("oversized files: %v", result.Oversized)
	}
	report, err := Verify(t.Context(), d, DefaultManifest, Options{Replay: true, Progress: func(Progress) { sample() }})
	if err != nil {
		t.Fatal(err)
	}
	requirePass(t, report)
	if n := report.DecisionGate.Replay.Decisions; n != steps+1 {
		t.Errorf("replayed %d decisions, want %d", n, steps+1)
	}
	t.Logf("the heap grew by %d KiB", (peak-base)>>10)
	if peak-base > bound {
		t.Errorf("the heap grew by %d bytes, want at most %d", peak-base, bound)
	}
}

// TestSpoolLeavesNothing sees that raw evidence has no name on the disk, even while a bundle is being built.
func TestSpoolLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	f, err := DiskSpool(dir).Create()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("%v, %v", entries, err)
	}
}

// TestManyPackets has more packet ids than are kept to derive the answers to status calls.
func TestManyPackets(t *testing.T) {
	packet := fmt.Sprintf(`"entry_packets":[{"packet_id":%q,"schema_id":"x","content_type":"c","visibility_labels":[],"policy_tags":[],"payload":{"kind":"json","value":1}}]`,
		strings.Repeat("p", maxIssued+1))
	r := newRig(t, spec(t, strings.Replace(plainStage, `"entry_packets":[]`, packet, 1), condition("c", "equals", `1`)), &gate.Settings{})
	r.start(config, millis(1), true)
	r.status(millis(2))
	report := verify(t, r.build())
	requirePass(t, report)
	if report.DecisionGate.Unverifiable != (Unverifiable{Responses: 1}) {
		t.Errorf("unverifiable %+v", report.DecisionGate.Unverifiable)
	}
}

package runpack

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// goldenBundle is the golden run without the embedded report.
func goldenBundle(t tb) memory {
	in := goldenRun(t).input()
	in.Verify = false
	bundle := memory{}
	if _, err := Build(t.Context(), in, bundle); err != nil {
		t.Fatal(err)
	}
	return bundle
}

// edit changes the records of a log.
func edit[R any](t tb, bundle memory, path string, change func([]R) []R) {
	bundle[path] = encode(change(decode[[]R](t, bundle[path])))
}

// TestCompatibleReport holds reports against those that the open-source Decision Gate answers for the same bundles.
func TestCompatibleReport(t *testing.T) {
	tests := []struct {
		name   string
		change func(memory)
		want   string
	}{
		{"contract §9.5", func(m memory) {
			m[TriggersPath] = []byte("[]")
			m[DecisionsPath] = []byte("{}")
			delete(m, SubmissionsPath)
		}, `{"checked_files":7,"errors":["hash mismatch for artifacts/triggers.json","hash mismatch for artifacts/decisions.json","artifact read failed for artifacts/submissions.json: artifact error: missing","invalid decision log: invalid type: map, expected a sequence at line 1 column 0"],"status":"fail"}`},
		{"version", func(m memory) { replace(m, DefaultManifest, `"v1"`, `"v2"`) },
			`{"checked_files":0,"errors":["unsupported manifest version: v2"],"status":"fail"}`},
		{"root hash", func(m memory) {
			replace(m, DefaultManifest, `"root_hash":{"algorithm":"sha256","value":"`, `"root_hash":{"algorithm":"sha256","value":"0`)
		},
			`{"checked_files":8,"errors":["root hash mismatch"],"status":"fail"}`},
		{"no decisions", func(m memory) { delete(m, DecisionsPath) },
			`{"checked_files":7,"errors":["artifact read failed for artifacts/decisions.json: artifact error: missing","decision log read failed: artifact error: missing"],"status":"fail"}`},
		{"duplicate", func(m memory) {
			edit(t, m, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
				d[1].TriggerID, d[2].TriggerID, d[3].TriggerID = "t1", "t1", "t1"
				return d
			})
			m.rehash(t, DefaultManifest)
		}, `{"checked_files":8,"errors":["duplicate decision for trigger t1"],"status":"fail"}`},
		{"escapes", func(m memory) {
			replace(m, DefaultManifest, `"path":"artifacts/triggers.json"`, `"path":"../zz.json"`)
			replace(m, DefaultManifest, `"path":"artifacts/packets.json"`, `"path":"/etc/hostname"`)
		}, `{"checked_files":6,"errors":["artifact read failed for ../zz.json: artifact error: artifact path escapes runpack root","artifact read failed for /etc/hostname: artifact error: absolute artifact path not allowed","root hash mismatch"],"status":"fail"}`},
		{"no files", func(m memory) {
			manifest, _ := parseManifest(m[DefaultManifest])
			manifest.Integrity = Integrity{FileHashes: []FileHash{}, RootHash: canonical.Hash([]FileHash{})}
			m[DefaultManifest] = manifest.bytes()
		}, `{"checked_files":0,"errors":[],"status":"pass"}`},
		{"anchors", func(m memory) {
			manifest, _ := parseManifest(m[DefaultManifest])
			manifest.AnchorPolicy = &gate.AnchorPolicy{Providers: []gate.ProviderAnchorPolicy{
				{ProviderID: "env", Requirement: gate.AnchorRequirement{AnchorType: "env", RequiredFields: []string{}}},
			}}
			m[DefaultManifest] = manifest.bytes()
			edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
				e[1].Evidence[0].ConditionID = "none"
				return e
			})
			m.rehash(t, DefaultManifest)
		}, `{"checked_files":8,"errors":["anchor invalid for condition env_prod (trigger t-1, stage review): anchor_value must be canonical JSON","condition none missing from scenario spec (trigger t-1, stage review)","anchor invalid for condition env_prod (trigger t-2, stage review): anchor_value must be canonical JSON"],"status":"fail"}`},
		{"anchors without a spec", func(m memory) {
			manifest, _ := parseManifest(m[DefaultManifest])
			manifest.AnchorPolicy = &gate.AnchorPolicy{Providers: []gate.ProviderAnchorPolicy{{ProviderID: "env"}}}
			m[DefaultManifest] = manifest.bytes()
			m[SpecPath] = []byte("[")
			m.rehash(t, DefaultManifest)
		}, `{"checked_files":8,"errors":["invalid scenario spec: EOF while parsing a value at line 1 column 2"],"status":"fail"}`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bundle := goldenRun(t).build()
			test.change(bundle)
			report := verify(t, bundle)
			if report.Verdict() != Fail {
				t.Error("the verdict is pass")
			}
			report.DecisionGate = nil
			if got := string(encode(*report)); got != test.want {
				t.Errorf("report\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func replace(m memory, path, old, new string) {
	changed := strings.Replace(string(m[path]), old, new, -1)
	if changed == string(m[path]) {
		panic("nothing to replace in " + path)
	}
	m[path] = []byte(changed)
}

// TestOneByte changes single bytes of every file, manifest included.
func TestOneByte(t *testing.T) {
	sound := goldenRun(t).build()
	for path, content := range sound {
		for at := 0; at < len(content); at += 1 + len(content)/40 {
			bundle := sound.clone()
			bundle[path][at] ^= 1
			report, err := Verify(t.Context(), bundle, DefaultManifest, Options{})
			if err == nil && report.Verdict() == Pass {
				t.Errorf("%s: a change of byte %d (%q) goes unseen", path, at, content[at])
			}
		}
	}
}

// tampering is a change after which every hash has been made anew. The finding must name the place.
var tampering = []struct {
	name   string
	change func(*testing.T, memory)
	want   string
	// replay marks what only replay can find.
	replay bool
}{
	{"evidence", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			result := &e[2].Evidence[0].Result
			result.Value.JSON = canonical.NewString("staging")
			hash, _ := result.Value.Hash()
			result.EvidenceHash = &hash
			return e
		})
	}, "replay: recorded True, replay gives False [decision 3] [trigger t-2] [gate g_env] [condition env_prod]", true},
	{"evidence and its verdict, not the gate's", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			result := &e[2].Evidence[0].Result
			result.Value.JSON = canonical.NewString("staging")
			hash, _ := result.Value.Hash()
			result.EvidenceHash, e[2].Evidence[0].Status = &hash, gate.False
			return e
		})
	}, "replay: recorded True, replay gives False [decision 3] [trigger t-2] [gate g_env]", true},
	{"evidence hash", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			e[0].Evidence[0].Result.EvidenceHash.Value = strings.Repeat("0", 64)
			return e
		})
	}, "evidence_hash: the evidence hash is not that of the value [decision 2] [trigger t-1] [gate g_env] [condition env_prod]", false},
	{"lane", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			e[0].Evidence[0].Result.Error = &gate.EvidenceError{Code: "trust_lane", Message: "evidence lane Asserted does not satisfy Verified"}
			return e
		})
	}, "replay: recorded True, replay gives Unknown [decision 2] [trigger t-1] [gate g_env] [condition env_prod]", true},
	{"trace", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			slices.Reverse(e[0].Evaluation.Trace)
			return e
		})
	}, "replay: the trace is not that of the gate's requirement [decision 2] [trigger t-1] [gate g_env]", true},
	{"gate dropped", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord { return slices.Delete(e, 3, 4) })
	}, "replay: the gate's evaluation is missing [decision 3] [trigger t-2] [gate g_time]", true},
	{"gates swapped", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			e[0], e[1] = e[1], e[0]
			return e
		})
	}, "replay: the gate is recorded in the place of gate g_env [decision 2] [trigger t-1] [gate g_time]", true},
	{"gates of another trigger", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			slices.Reverse(e)
			return e
		})
	}, "sequence: the gate's record belongs to no decision, or does not stand in its place [trigger t-1] [gate g_time]", false},
	{"evidence dropped", func(t *testing.T, m memory) {
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			e[0].Evidence = e[0].Evidence[:1]
			return e
		})
	}, "replay: the evidence for the condition is missing [decision 2] [trigger t-1] [gate g_env] [condition too_late]", true},
	{"decisions swapped", func(t *testing.T, m memory) {
		edit(t, m, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
			d[1], d[2] = d[2], d[1]
			return d
		})
	}, "sequence: the decision is on trigger t-2 [decision 3] [trigger t-1]", false},
	{"decision dropped", func(t *testing.T, m memory) {
		edit(t, m, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord { return d[:3] })
	}, "sequence: the trigger has no decision [trigger t-3]", false},
	{"trigger dropped", func(t *testing.T, m memory) {
		edit(t, m, TriggersPath, func(r []gate.TriggerRecord) []gate.TriggerRecord { return r[:3] })
	}, "sequence: the decision has no trigger [decision 4]", false},
	{"hold made an advance", func(t *testing.T, m memory) {
		edit(t, m, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
			d[1].Outcome = gate.DecisionOutcome{Kind: gate.Advance, FromStage: "review", ToStage: "ship"}
			return d
		})
	}, "replay: recorded advance from review to ship, replay gives hold on g_time [decision 2] [trigger t-1]", true},
	{"correlation of a decision", func(t *testing.T, m memory) {
		edit(t, m, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
			d[1].CorrelationID = nil
			return d
		})
	}, "sequence: the decision has another time or correlation than its trigger [decision 2] [trigger t-1]", false},
	{"run of a trigger", func(t *testing.T, m memory) {
		edit(t, m, TriggersPath, func(r []gate.TriggerRecord) []gate.TriggerRecord {
			r[1].Event.RunID = "run-2"
			return r
		})
	}, "sequence: the trigger is of another run [decision 2] [trigger t-1]", false},
	{"payload", func(t *testing.T, m memory) {
		edit(t, m, PacketsPath, func(p []gate.PacketRecord) []gate.PacketRecord {
			p[1].Payload.Bytes = []byte("ho")
			return p
		})
	}, "payload_hash: the content hash is not that of the payload [decision 3] [trigger t-2] [packet p-bin]", false},
	{"packet", func(t *testing.T, m memory) {
		edit(t, m, PacketsPath, func(p []gate.PacketRecord) []gate.PacketRecord {
			p[0].Envelope.Visibility.Labels = []string{}
			p[0].Receipts[0].ReceiptHash = canonical.Hash(p[0].Envelope)
			return p
		})
	}, "replay: the packet is not what the spec, the decision and the run's targets make of it [decision 1] [trigger init] [packet p-brief]", true},
	{"packet dropped", func(t *testing.T, m memory) {
		edit(t, m, PacketsPath, func(p []gate.PacketRecord) []gate.PacketRecord { return p[:1] })
	}, "replay: the packet is missing [decision 3] [trigger t-2] [packet p-bin]", true},
	{"receipt", func(t *testing.T, m memory) {
		edit(t, m, PacketsPath, func(p []gate.PacketRecord) []gate.PacketRecord {
			p[0].Receipts[0].Target.AgentID = "a2"
			p[0].Receipts[0].DispatchID = "mcp-p-other"
			return p
		})
	}, "receipt: receipt 1 is not that of this packet [decision 1] [trigger init] [packet p-brief]", false},
	{"response", func(t *testing.T, m memory) {
		edit(t, m, ToolCallsPath, func(c []gate.ToolCallRecord) []gate.ToolCallRecord {
			c[1].ResponseHash.Value = strings.Repeat("0", 64)
			return c
		})
	}, "tool_call: the response is not the recorded decision with its packets [call call-2]", false},
	{"request", func(t *testing.T, m memory) {
		edit(t, m, ToolCallsPath, func(c []gate.ToolCallRecord) []gate.ToolCallRecord {
			c[1].RequestHash.Value = strings.Repeat("0", 64)
			return c
		})
	}, "tool_call: no tool call has the trigger as its request [decision 2] [trigger t-1]", false},
	{"status", func(t *testing.T, m memory) {
		edit(t, m, ToolCallsPath, func(c []gate.ToolCallRecord) []gate.ToolCallRecord {
			c[0].ResponseHash.Value = strings.Repeat("0", 64)
			return c
		})
	}, "tool_call: the response is not the status of the run at that step [call call-1]", false},
	{"error of a call", func(t *testing.T, m memory) {
		edit(t, m, ToolCallsPath, func(c []gate.ToolCallRecord) []gate.ToolCallRecord {
			c[5].Error.Message = "fine"
			return c
		})
	}, "tool_call: the response is not the recorded error [call call-6]", false},
	{"method", func(t *testing.T, m memory) {
		edit(t, m, ToolCallsPath, func(c []gate.ToolCallRecord) []gate.ToolCallRecord {
			c[0].Method = "scenario.other"
			return c
		})
	}, `tool_call: there is no method "scenario.other" [call call-1]`, false},
	{"call dropped", func(t *testing.T, m memory) {
		edit(t, m, ToolCallsPath, func(c []gate.ToolCallRecord) []gate.ToolCallRecord { return slices.Delete(c, 3, 4) })
	}, "tool_call: the call stands in the place of call-4 [call call-5]", false},
	{"submission", func(t *testing.T, m memory) {
		edit(t, m, SubmissionsPath, func(s []gate.SubmissionRecord) []gate.SubmissionRecord {
			s[0].Payload.Value = canonical.NewBool(false)
			return s
		})
	}, "payload_hash: submission s-1: the content hash is not that of the payload [file artifacts/submissions.json]", false},
	{"submission without a call", func(t *testing.T, m memory) {
		edit(t, m, SubmissionsPath, func(s []gate.SubmissionRecord) []gate.SubmissionRecord { return append(s, s[0]) })
	}, "submission: no tool call hands in submission s-1 [file artifacts/submissions.json]", false},
	{"submission of another run", func(t *testing.T, m memory) {
		edit(t, m, SubmissionsPath, func(s []gate.SubmissionRecord) []gate.SubmissionRecord {
			s[0].RunID = "run-2"
			return s
		})
	}, "submission: submission s-1 is of another run, or a second one of its id [file artifacts/submissions.json]", false},
	{"submission twice", func(t *testing.T, m memory) {
		edit(t, m, SubmissionsPath, func(s []gate.SubmissionRecord) []gate.SubmissionRecord { return append(s, s[0]) })
		edit(t, m, ToolCallsPath, func(c []gate.ToolCallRecord) []gate.ToolCallRecord {
			again := c[4]
			again.CallID = "call-9"
			return append(c, again)
		})
	}, "submission: submission s-1 is of another run, or a second one of its id [file artifacts/submissions.json]", false},
	{"decision after the end", func(t *testing.T, m memory) {
		edit(t, m, TriggersPath, func(r []gate.TriggerRecord) []gate.TriggerRecord {
			late := r[3]
			late.Seq, late.Event.TriggerID = 5, "t-4"
			return append(r, late)
		})
		edit(t, m, DecisionsPath, func(d []gate.DecisionRecord) []gate.DecisionRecord {
			late := d[3]
			late.Seq, late.DecisionID, late.TriggerID = 5, "decision-5", "t-4"
			return append(d, late)
		})
	}, "sequence: the run had ended before [decision 5] [trigger t-4]", false},
	{"spec", func(t *testing.T, m memory) {
		spec := decode[gate.ScenarioSpec](t, m[SpecPath])
		spec.Conditions[0].Expected = ptr(canonical.NewString("staging"))
		m[SpecPath] = encode(spec)
	}, "replay: recorded True, replay gives False [decision 2] [trigger t-1] [gate g_env] [condition env_prod]", true},
	{"trust of the spec", func(t *testing.T, m memory) {
		spec := decode[gate.ScenarioSpec](t, m[SpecPath])
		spec.Stages[0].Gates[0].Trust = &gate.TrustRequirement{MinLane: gate.Verified}
		m[SpecPath] = encode(spec)
		edit(t, m, GateEvalsPath, func(e []gate.GateEvalRecord) []gate.GateEvalRecord {
			e[0].Evidence[0].Result.Lane = gate.Asserted
			return e
		})
	}, "replay: recorded True, replay gives Unknown [decision 2] [trigger t-1] [gate g_env] [condition env_prod]", true},
	{"spec that is none", func(t *testing.T, m memory) { m[SpecPath] = []byte("{}") },
		"scenario_spec: the logs were not checked: missing field `scenario_id` [file artifacts/scenario_spec.json]", false},
	{"scenario of the manifest", func(t *testing.T, m memory) { replace(m, DefaultManifest, `"demo-release"`, `"demo"`) },
		"scenario_spec: the manifest names another scenario or namespace than the spec [file artifacts/scenario_spec.json]", false},
	{"unknown member", func(t *testing.T, m memory) {
		replace(m, DecisionsPath, `"correlation_id":null`, `"comment":1,"correlation_id":null`)
	},
		"canonical_form: the log is not in canonical form, or has members that are not known [file artifacts/decisions.json]", false},
	{"white space", func(t *testing.T, m memory) { m[TriggersPath] = append(m[TriggersPath], '\n') },
		"canonical_form: the log is not in canonical form, or has members that are not known [file artifacts/triggers.json]", false},
	{"spec with white space", func(t *testing.T, m memory) { m[SpecPath] = append(m[SpecPath], '\n') },
		"canonical_form: the spec is not in canonical form, or has members that are not known [file artifacts/scenario_spec.json]", false},
	{"truncated", func(t *testing.T, m memory) { m[ToolCallsPath] = m[ToolCallsPath][:1000] },
		"readable: EOF while parsing a list [file artifacts/tool_calls.json]", false},
	{"extra file", func(t *testing.T, m memory) { m["artifacts/readme.txt"] = []byte("hello") },
		"unlisted_file: the manifest does not list this file [file artifacts/readme.txt]", false},
	{"report", func(t *testing.T, m memory) {
		m[ReportPath] = []byte(`{"checked_files":8,"errors":[],"status":"pass"}`)
	},
		"manifest: the report in the bundle is not that of a sound bundle [file artifacts/verifier_report.json]", false},
}

func ptr[T any](v T) *T { return &v }

// TestOneCause sees that a request that was changed is reported once, not with the calls that it makes look wrong.
func TestOneCause(t *testing.T) {
	bundle := goldenRun(t).build()
	edit(t, bundle, ToolCallsPath, func(c []gate.ToolCallRecord) []gate.ToolCallRecord {
		c[0].ResponseHash.Value, c[1].RequestHash.Value = "0", "0"
		return c
	})
	bundle.rehash(t, DefaultManifest)
	const want = "tool_call: no tool call has the trigger as its request [decision 2] [trigger t-1]\n"
	if text := list(verify(t, bundle)); text != want {
		t.Errorf("findings:\n%swant:\n%s", text, want)
	}
}

func TestTampering(t *testing.T) {
	for _, test := range tampering {
		t.Run(test.name, func(t *testing.T) {
			bundle := goldenRun(t).build()
			test.change(t, bundle)
			bundle.rehash(t, DefaultManifest)
			report := verify(t, bundle)
			if report.Status != Pass {
				t.Fatalf("the hashes are not those of the files: %v", report.Errors)
			}
			if report.Verdict() != Fail || !strings.Contains(list(report), test.want+"\n") {
				t.Errorf("findings:\n%swant:\n%s", list(report), test.want)
			}
			if test.replay {
				plain, err := Verify(t.Context(), bundle, DefaultManifest, Options{})
				if err != nil || strings.Contains(list(plain), "replay: ") {
					t.Errorf("without replay: %v\n%s", err, list(plain))
				}
			}
		})
	}
}

// TestManifestTampering changes what the manifest says of the files.
func TestManifestTampering(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Manifest)
		want   string
	}{
		{"spec hash", func(m *Manifest) { m.SpecHash.Value = "0" }, "scenario_spec: the manifest's spec_hash is not that of the spec"},
		{"not required", func(m *Manifest) { m.Artifacts[2].Required = false }, "manifest: artifact 3 does not agree"},
		{"kind", func(m *Manifest) { m.Artifacts[2].Kind = "custom" }, "manifest: artifact 3 does not agree"},
		{"content type", func(m *Manifest) { m.Artifacts[2].ContentType = nil }, "manifest: artifact 3 does not agree"},
		{"hash of an artifact", func(m *Manifest) { m.Artifacts[2].Hash.Value = "0" }, "manifest: artifact 3 does not agree"},
		{"artifact id", func(m *Manifest) { m.Artifacts[2].ArtifactID = "x" }, "manifest: artifact 3 does not agree"},
		{"artifact missing", func(m *Manifest) { m.Artifacts = m.Artifacts[:7] }, "manifest: the manifest has 7 artifacts and hashes of 8 files"},
		{"order", func(m *Manifest) {
			h := m.Integrity.FileHashes
			h[1], h[2] = h[2], h[1]
		}, "manifest: file 2 of the manifest's hashes is not this one [file artifacts/triggers.json]"},
		{"no files", func(m *Manifest) { m.Integrity.FileHashes, m.Artifacts = []FileHash{}, []ArtifactRecord{} }, "manifest: the manifest has hashes of 0 files"},
		{"another run", func(m *Manifest) { m.RunID = "run-2" }, "sequence: the trigger is of another run [decision 1] [trigger init]"},
	}
	sound := goldenRun(t).build()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			bundle := sound.clone()
			manifest, err := parseManifest(bundle[DefaultManifest])
			if err != nil {
				t.Fatal(err)
			}
			test.change(manifest)
			manifest.Integrity.RootHash = canonical.Hash(manifest.Integrity.FileHashes)
			bundle[DefaultManifest] = manifest.bytes()
			report := verify(t, bundle)
			if report.Verdict() != Fail || !strings.Contains(list(report), test.want) {
				t.Errorf("findings:\n%swant:\n%s", list(report), test.want)
			}
		})
	}
}

// shifting shows other bytes of a file from its second reading on.
type shifting struct {
	memory
	path  string
	reads int
}

func (s *shifting) Open(ctx context.Context, path string) (content io.ReadCloser, size int64, err error) {
	if path == s.path {
		if s.reads++; s.reads > 1 {
			return s.memory.Open(ctx, "shifted")
		}
	}
	return s.memory.Open(ctx, path)
}

// TestShiftingFile is the attack of whoever controls the storage: the hash sees one content, the checks another.
func TestShiftingFile(t *testing.T) {
	for _, path := range []string{SpecPath, GateEvalsPath, DecisionsPath} {
		bundle := goldenBundle(t)
		bundle["shifted"] = append(slices.Clone(bundle[path]), ' ')
		report := verify(t, &shifting{memory: bundle, path: path})
		if text := fmt.Sprint(report.Errors) + list(report); !strings.Contains(text, textChanged) {
			t.Errorf("%s: %s", path, text)
		}
	}
}

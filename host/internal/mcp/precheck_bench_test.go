package mcp

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// BenchmarkPrecheck asks for four conditions on both surfaces, without a network.
func BenchmarkPrecheck(b *testing.B) {
	r := newRig(b)
	r.must("scenario_define", `{"spec":`+fourConditions+`}`)
	r.must("schemas_register", `{"record":`+fourShape+`}`)
	handler := r.Handler()
	body := callText("precheck", `{"tenant_id":1,"namespace_id":1,"scenario_id":"four","data_shape":{"schema_id":"four","version":"1"},"payload":{"c1":true,"c2":true,"c3":5,"c4":"b"}}`)
	for _, surface := range []string{"/rpc", "/mcp"} {
		b.Run(surface, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080"+surface, strings.NewReader(body))
				req.RemoteAddr = "127.0.0.1:1"
				req.Header.Set("Content-Type", "application/json")
				req.Header.Set("Accept", "application/json, text/event-stream")
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, req)
				if answer, _ := io.ReadAll(w.Body); w.Code != http.StatusOK || !strings.Contains(string(answer), `complete`) {
					b.Fatalf("%d %s", w.Code, answer)
				}
			}
		})
	}
}

const fourConditions = `{"scenario_id":"four","namespace_id":1,"spec_version":"1","policies":[],"schemas":[],"default_tenant_id":1,
"stages":[{"stage_id":"a","entry_packets":[],"gates":[{"gate_id":"g","requirement":{"And":[{"Condition":"c1"},{"Condition":"c2"},{"Condition":"c3"},{"Condition":"c4"}]}}],"advance_to":{"kind":"terminal"},"on_timeout":"fail"}],
"conditions":[
{"condition_id":"c1","query":{"provider_id":"time","check_id":"after","params":{"timestamp":0}},"comparator":"equals","expected":true,"policy_tags":[]},
{"condition_id":"c2","query":{"provider_id":"time","check_id":"before","params":{"timestamp":9}},"comparator":"equals","expected":true,"policy_tags":[]},
{"condition_id":"c3","query":{"provider_id":"time","check_id":"now"},"comparator":"greater_than","expected":4,"policy_tags":[]},
{"condition_id":"c4","query":{"provider_id":"env","check_id":"get","params":{"key":"K"}},"comparator":"in_set","expected":["a","b"],"policy_tags":[]}]}`

const fourShape = `{"tenant_id":1,"namespace_id":1,"schema_id":"four","version":"1","created_at":{"kind":"logical","value":1},"schema":{"type":"object","properties":
{"c1":{"type":"boolean"},"c2":{"type":"boolean"},"c3":{"type":"integer"},"c4":{"type":"string"}},"required":["c1","c2","c3","c4"],"additionalProperties":false}}`

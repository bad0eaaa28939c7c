package mcp

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestDiscovery shows what the lists allow, in every tool alike, and asks nothing of what they hide.
func TestDiscovery(t *testing.T) {
	for _, test := range []struct {
		name        string
		allow, deny []string
		shown       []string
	}{
		{"no lists", nil, nil, []string{"env", "json", "time"}},
		{"allowed", []string{"time", "none"}, nil, []string{"time"}},
		{"none allowed", []string{}, nil, nil},
		{"denied", nil, []string{"env"}, []string{"json", "time"}},
		{"deny wins", []string{"env", "time"}, []string{"env"}, []string{"time"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t, func(c *Config) { c.Discovery.Allow, c.Discovery.Deny = test.allow, test.deny })
			var list struct {
				Providers []struct {
					ID string `json:"provider_id"`
				}
			}
			if err := json.Unmarshal([]byte(r.must("providers_list", `{}`)), &list); err != nil {
				t.Fatal(err)
			}
			var shown []string
			for _, p := range list.Providers {
				shown = append(shown, p.ID)
			}
			if !slices.Equal(shown, test.shown) {
				t.Errorf("shown are %q, want %q", shown, test.shown)
			}
			for id, check := range map[string]string{"env": "get", "json": "path", "time": "now", "none": "x"} {
				got := r.call("provider_contract_get", fmt.Sprintf(`{"provider_id":%q}`, id))
				checked := r.call("provider_check_schema_get", fmt.Sprintf(`{"provider_id":%q,"check_id":%q}`, id, check))
				want := 0
				switch {
				case test.allow != nil && !slices.Contains(test.allow, id), slices.Contains(test.deny, id):
					want = int(Unauthorized)
				case id == "none":
					want = int(InvalidParams)
				}
				for _, a := range []answered{got, checked} {
					if code := codeOf(a); code != want {
						t.Errorf("%s: code %d, want %d", id, code, want)
					}
				}
			}
			// What may be asked is another matter.
			r.must("scenario_define", `{"spec":`+specText("s", "1")+`}`)
		})
	}
}

func codeOf(a answered) int {
	if a.Error == nil {
		return 0
	}
	return a.Error.Code
}

// TestContractHash is one and the same in both answers, and another for each provider.
func TestContractHash(t *testing.T) {
	r := newRig(t)
	hashes := map[string]bool{}
	for id, check := range map[string]string{"env": "get", "json": "path", "time": "now"} {
		var contract, checked struct {
			Hash struct{ Value string } `json:"contract_hash"`
		}
		for target, text := range map[any]string{
			&contract: r.must("provider_contract_get", fmt.Sprintf(`{"provider_id":%q}`, id)),
			&checked:  r.must("provider_check_schema_get", fmt.Sprintf(`{"provider_id":%q,"check_id":%q}`, id, check)),
		} {
			if err := json.Unmarshal([]byte(text), target); err != nil {
				t.Fatal(err)
			}
		}
		if len(contract.Hash.Value) != 64 || contract != checked {
			t.Errorf("%s: %v, %v", id, contract, checked)
		}
		hashes[contract.Hash.Value] = true
	}
	if len(hashes) != 3 {
		t.Error(slices.Collect(maps.Keys(hashes)))
	}
}

// TestContractTellsNoSetting keeps what an operator configured out of contracts: roots, names and values of the machine.
func TestContractTellsNoSetting(t *testing.T) {
	r := newRig(t)
	for _, id := range []string{"env", "json", "time"} {
		text := r.must("provider_contract_get", fmt.Sprintf(`{"provider_id":%q}`, id))
		for _, secret := range []string{"/tmp/", "DecisionGate", "\"files\"", "TestContract"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s tells %s: %s", id, secret, text)
			}
		}
	}
}

// TestContractTooLarge is an error of the answer: HTTP 200, because clients read the error of no other status.
func TestContractTooLarge(t *testing.T) {
	whole := len(newRig(t).must("provider_contract_get", `{"provider_id":"env"}`))
	fits := newRig(t, func(c *Config) { c.Discovery.MaxBytes = int64(whole) })
	fits.must("provider_contract_get", `{"provider_id":"env"}`)
	r := newRig(t, func(c *Config) { c.Discovery.MaxBytes = int64(whole) - 1 })
	r.refused(TooLarge, fmt.Sprintf("provider discovery response exceeds size limit (%d > %d)", whole, whole-1), "provider_contract_get", `{"provider_id":"env"}`)
	response, body := r.http(post(callText("provider_contract_get", `{"provider_id":"env"}`)))
	if e := decodeAnswer(t, []byte(body)).Error; response.StatusCode != 200 || e == nil || e.Data.Kind != "request_too_large" || e.Data.Retryable {
		t.Errorf("%d %s", response.StatusCode, body)
	}
	r.must("provider_check_schema_get", `{"provider_id":"env","check_id":"get"}`)
}

// TestHiddenTools are unknown on both surfaces, to calls and to lists, but for the list of /rpc where that is wanted.
func TestHiddenTools(t *testing.T) {
	for _, test := range []struct {
		rule         ToolRule
		called, list []string
	}{
		{ToolRule{Allow: []string{"precheck", "providers_list"}, Deny: []string{"precheck"}}, []string{"providers_list"}, []string{"providers_list"}},
		{ToolRule{Allow: []string{"precheck", "providers_list"}, Deny: []string{"precheck"}, ListAll: true}, []string{"providers_list"}, ToolNames()},
		{ToolRule{Allow: []string{}}, nil, nil},
		{ToolRule{Deny: ToolNames()[1:]}, []string{"scenario_define"}, []string{"scenario_define"}},
	} {
		r := newRig(t, func(c *Config) { c.Tools = test.rule })
		var list struct{ Tools []struct{ Name string } }
		if err := json.Unmarshal(r.send(listTools).Result, &list); err != nil {
			t.Fatal(err)
		}
		var listed []string
		for _, tool := range list.Tools {
			listed = append(listed, tool.Name)
		}
		if !slices.Equal(listed, test.list) {
			t.Errorf("%+v: listed are %q", test.rule, listed)
		}
		standard := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/mcp", strings.NewReader(listTools))
		standard.RemoteAddr = "127.0.0.1:1"
		for name, value := range map[string]string{"Content-Type": "application/json", "Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-06-18"} {
			standard.Header.Set(name, value)
		}
		response, body := r.http(standard)
		for _, name := range ToolNames() {
			if named := strings.Contains(body, `"name":"`+name+`"`); response.StatusCode != 200 || named != slices.Contains(test.called, name) {
				t.Errorf("%+v: /mcp lists %s: %t, %d %.200s", test.rule, name, named, response.StatusCode, body)
			}
			a := r.call(name, `{}`)
			if hidden := a.Error != nil && a.Error.Message == "unknown tool"; hidden == slices.Contains(test.called, name) {
				t.Errorf("%+v: %s: %+v", test.rule, name, a.Error)
			}
		}
	}
}

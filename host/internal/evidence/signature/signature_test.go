package signature

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
	"github.com/decision-gate-host/decision-gate-host/host/gate"
)

// seed is the private key of test 1 of RFC 8032 §7.1, with its public key.
const (
	seed   = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
	public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
)

func bytesOf(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func signer(t testing.TB) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytesOf(t, seed)) }

var (
	query = gate.EvidenceQuery{ProviderID: "ci", CheckID: "tests"}
	about = gate.EvidenceContext{
		TenantID: 1, NamespaceID: 2, RunID: "run", ScenarioID: "sc", StageID: "st", TriggerID: "t",
		TriggerTime: gate.Timestamp{Kind: gate.UnixMillis, Millis: 1710000000000},
	}
)

// signed is evidence with a value and a signature of a scheme for the question above.
func signed(t testing.TB, scheme, value string) gate.EvidenceResult {
	t.Helper()
	result := gate.EvidenceResult{Value: &gate.EvidenceValue{Kind: gate.JSONValue, JSON: canonical.NewString(value)}}
	hash, err := result.Value.Hash()
	if err != nil {
		t.Fatal(err)
	}
	result.Signature = &gate.EvidenceSignature{Scheme: scheme, KeyID: "k", Signature: ed25519.Sign(signer(t), Message(scheme, query, about, &result, hash))}
	return result
}

func rule(t testing.TB) *Rule {
	return &Rule{Keys: map[string]ed25519.PublicKey{"k": signer(t).Public().(ed25519.PublicKey)}}
}

// TestMessages are the bytes that providers sign, as documented.
func TestMessages(t *testing.T) {
	hash := canonical.HashBytes([]byte(`"production"`))
	params := canonical.NewObject([]canonical.Member{{Name: "b", Value: canonical.NewFloat(1)}, {Name: "a", Value: canonical.NewInt(2)}})
	q := query
	q.Params = &params
	result := gate.EvidenceResult{Value: &gate.EvidenceValue{Kind: gate.JSONValue, JSON: canonical.NewString("production")}}
	for scheme, want := range map[string]string{
		Plain: `{"algorithm":"sha256","value":"80be2eb0944c0453a6ad339a56e1c8f39f8cc57a4e627758246ccfd274176fd8"}`,
		Bound: `{"evidence_anchor":null,"evidence_hash":{"algorithm":"sha256","value":"80be2eb0944c0453a6ad339a56e1c8f39f8cc57a4e627758246ccfd274176fd8"},` +
			`"lane":"verified","namespace_id":2,"provider_id":"ci","query":{"check_id":"tests","params":{"a":2,"b":1},"provider_id":"ci"},"run_id":"run","scenario_id":"sc",` +
			`"scheme":"ed25519-bound","stage_id":"st","tenant_id":1,"trigger_id":"t","trigger_time":{"kind":"unix_millis","value":1710000000000},"value_kind":"json"}`,
	} {
		if got := string(Message(scheme, q, about, &result, hash)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", scheme, got, want)
		}
	}
}

// TestCheck is the procedure of mcp contract §5.5, in its order: what comes later is wrong as well in each case.
func TestCheck(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*gate.EvidenceResult)
		want   error
	}{
		"as it is":      {func(*gate.EvidenceResult) {}, nil},
		"with its hash": {func(r *gate.EvidenceResult) { h, _ := r.Value.Hash(); r.EvidenceHash = &h }, nil},
		"with an error": {func(r *gate.EvidenceResult) { r.Error = &gate.EvidenceError{Code: "c"} }, nil},
		"unsigned":      {func(r *gate.EvidenceResult) { r.Signature, r.Value = nil, nil }, errMissing},
		"other scheme":  {func(r *gate.EvidenceResult) { r.Signature.Scheme, r.Signature.KeyID = "Ed25519", "x" }, errScheme},
		"other key":     {func(r *gate.EvidenceResult) { r.Signature.KeyID, r.Value = "x", nil }, errKey},
		"no value":      {func(r *gate.EvidenceResult) { r.Value, r.Signature.Signature = nil, nil }, errMissingHash},
		"other hash": {func(r *gate.EvidenceResult) {
			h := canonical.HashBytes(nil)
			r.EvidenceHash, r.Signature.Signature = &h, nil
		}, errHash},
		"hash in capitals": {func(r *gate.EvidenceResult) {
			h, _ := r.Value.Hash()
			h.Value = strings.ToUpper(h.Value)
			r.EvidenceHash = &h
		}, errHash},
		"value too large": {func(r *gate.EvidenceResult) {
			r.Value.JSON = canonical.NewString(strings.Repeat("x", gate.MaxEvidence))
		}, errHashing},
		"short":       {func(r *gate.EvidenceResult) { r.Signature.Signature = r.Signature.Signature[:63] }, errBytes},
		"long":        {func(r *gate.EvidenceResult) { r.Signature.Signature = append(r.Signature.Signature, 0) }, errBytes},
		"other value": {func(r *gate.EvidenceResult) { r.Value.JSON = canonical.NewString("staging") }, errSignature},
		"a bit":       {func(r *gate.EvidenceResult) { r.Signature.Signature[40] ^= 1 }, errSignature},
	} {
		for _, scheme := range []string{Plain, Bound} {
			result := signed(t, scheme, "production")
			test.change(&result)
			if err := rule(t).Check(query, about, &result); err != test.want {
				t.Errorf("%s, %s: %v, want %v", name, scheme, err, test.want)
			}
			if test.want == nil && result.EvidenceHash == nil {
				t.Errorf("%s, %s: the hash was not filled in", name, scheme)
			}
		}
	}
}

// TestUnsigned: without a rule nothing is asked for, with a rule without keys nothing passes.
func TestUnsigned(t *testing.T) {
	var none *Rule
	if err := none.Check(query, about, &gate.EvidenceResult{}); err != nil {
		t.Error(err)
	}
	result := signed(t, Plain, "production")
	if err := (&Rule{}).Check(query, about, &result); err != errKey {
		t.Error(err)
	}
}

// TestReplay takes a good signature for another question, run or time. The plain scheme cannot tell, the bound one must.
func TestReplay(t *testing.T) {
	one, two := canonical.NewInt(1), canonical.NewInt(2)
	correlation := gate.CorrelationID("c")
	for name, test := range map[string]struct {
		change func(*gate.EvidenceQuery, *gate.EvidenceContext)
		free   bool // not bound
	}{
		"provider":  {change: func(q *gate.EvidenceQuery, _ *gate.EvidenceContext) { q.ProviderID = "cd" }},
		"check":     {change: func(q *gate.EvidenceQuery, _ *gate.EvidenceContext) { q.CheckID = "lint" }},
		"params":    {change: func(q *gate.EvidenceQuery, _ *gate.EvidenceContext) { q.Params = &two }},
		"no params": {change: func(q *gate.EvidenceQuery, _ *gate.EvidenceContext) { q.Params = nil }},
		"tenant":    {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) { ec.TenantID++ }},
		"namespace": {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) { ec.NamespaceID++ }},
		"run":       {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) { ec.RunID = "other" }},
		"scenario":  {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) { ec.ScenarioID = "other" }},
		"stage":     {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) { ec.StageID = "other" }},
		"trigger":   {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) { ec.TriggerID = "other" }},
		"time":      {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) { ec.TriggerTime.Millis++ }},
		"kind of time": {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) {
			ec.TriggerTime = gate.Timestamp{Kind: gate.Logical, Tick: 1710000000000}
		}},
		"correlation id": {change: func(_ *gate.EvidenceQuery, ec *gate.EvidenceContext) { ec.CorrelationID = &correlation }, free: true},
	} {
		for _, scheme := range []string{Plain, Bound} {
			q, ec := query, about
			q.Params = &one
			result := signed(t, scheme, "production")
			hash, _ := result.Value.Hash()
			result.Signature.Signature = ed25519.Sign(signer(t), Message(scheme, q, ec, &result, hash))
			if err := rule(t).Check(q, ec, &result); err != nil {
				t.Fatal(err)
			}
			test.change(&q, &ec)
			err := rule(t).Check(q, ec, &result)
			if replayed := err == nil; replayed != (scheme == Plain || test.free) {
				t.Errorf("another %s, %s: %v", name, scheme, err)
			}
		}
	}
}

// TestChangedOnTheWay changes of a signed answer what decides beside its value. The plain scheme cannot tell, the bound one
// must.
func TestChangedOnTheWay(t *testing.T) {
	for name, change := range map[string]func(*gate.EvidenceResult){
		"asserted passes as verified": func(r *gate.EvidenceResult) { r.Lane = gate.Verified },
		"an anchor is given": func(r *gate.EvidenceResult) {
			r.EvidenceAnchor = &gate.EvidenceAnchor{AnchorType: "a", AnchorValue: "v"}
		},
		"text passes as JSON": func(r *gate.EvidenceResult) {
			v, _ := canonical.Parse(r.Value.Bytes)
			r.Value = &gate.EvidenceValue{Kind: gate.JSONValue, JSON: v}
		},
	} {
		for _, scheme := range []string{Plain, Bound} {
			result := gate.EvidenceResult{Lane: gate.Asserted, Value: &gate.EvidenceValue{Kind: gate.BytesValue, Bytes: []byte(`{"ok":true}`)}}
			hash, _ := result.Value.Hash()
			result.Signature = &gate.EvidenceSignature{Scheme: scheme, KeyID: "k", Signature: ed25519.Sign(signer(t), Message(scheme, query, about, &result, hash))}
			if err := rule(t).Check(query, about, &result); err != nil {
				t.Fatal(err)
			}
			change(&result)
			if err := rule(t).Check(query, about, &result); (err == nil) != (scheme == Plain) {
				t.Errorf("%s, %s: %v", name, scheme, err)
			}
		}
	}
}

// TestSchemesApart: a signature of one scheme is none of the other, and the operator can refuse the plain one.
func TestSchemesApart(t *testing.T) {
	for from, to := range map[string]string{Plain: Bound, Bound: Plain} {
		result := signed(t, from, "production")
		result.Signature.Scheme = to
		if err := rule(t).Check(query, about, &result); err != errSignature {
			t.Errorf("%s as %s: %v", from, to, err)
		}
	}
	strict := rule(t)
	strict.RequireBound = true
	plain, bound := signed(t, Plain, "production"), signed(t, Bound, "production")
	if err := strict.Check(query, about, &plain); err != errUnbound {
		t.Error(err)
	}
	if err := strict.Check(query, about, &bound); err != nil {
		t.Error(err)
	}
}

// order is that of the base point.
var order, _ = new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)

func littleEndian(n *big.Int) []byte {
	b := n.FillBytes(make([]byte, 32))
	slices.Reverse(b)
	return b
}

func number(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// TestSmallOrder makes the signatures that crypto/ed25519 accepts and that prove nothing.
func TestSmallOrder(t *testing.T) {
	neutral := make([]byte, 32)
	neutral[0] = 1
	message := []byte("anything at all")
	t.Run("key", func(t *testing.T) {
		// With the neutral element as key and as R, S = 0 fits every message.
		forged := append(slices.Clone(neutral), make([]byte, 32)...)
		if !ed25519.Verify(neutral, message, forged) {
			t.Fatal("crypto/ed25519 is strict: this package has a check too many")
		}
		if verify(neutral, message, forged) {
			t.Error("a key of small order is accepted")
		}
		if _, err := parseKey(neutral); err != errPublic {
			t.Error(err)
		}
	})
	t.Run("R", func(t *testing.T) {
		// Whoever has the key can sign so that the signature hides that no random number was used: S = k·a.
		key := signer(t)
		digest := sha512.Sum512(bytesOf(t, seed))
		a := digest[:32]
		a[0], a[31] = a[0]&248, a[31]&127|64
		k := sha512.Sum512(slices.Concat(neutral, key.Public().(ed25519.PublicKey), message))
		s := new(big.Int).Mul(number(k[:]), number(a))
		forged := append(slices.Clone(neutral), littleEndian(s.Mod(s, order))...)
		if !ed25519.Verify(key.Public().(ed25519.PublicKey), message, forged) {
			t.Fatal("the signature was made wrong")
		}
		if verify(key.Public().(ed25519.PublicKey), message, forged) {
			t.Error("an R of small order is accepted")
		}
	})
}

// TestMalleable adds the order to S: the same signature in other bytes.
func TestMalleable(t *testing.T) {
	key := signer(t)
	message := []byte("m")
	good := ed25519.Sign(key, message)
	s := number(good[32:])
	other := append(slices.Clone(good[:32]), littleEndian(s.Add(s, order))...)
	if public := key.Public().(ed25519.PublicKey); !verify(public, message, good) || verify(public, message, other) {
		t.Error("S is not checked for its bound")
	}
}

// TestSmallOrderPoints: none of the list is taken for a key, with either sign.
func TestSmallOrderPoints(t *testing.T) {
	for _, y := range smallOrderY {
		for _, sign := range []byte{0, 0x80} {
			point := y
			point[31] |= sign
			if !smallOrder(point[:]) {
				t.Errorf("%x passes", point)
			}
			if _, err := parseKey(point[:]); err != errPublic {
				t.Errorf("%x: %v", point, err)
			}
		}
	}
}

// TestKeys are the forms of key files (mcp contract §5.5).
func TestKeys(t *testing.T) {
	raw := bytesOf(t, public)
	coded := base64.StdEncoding.EncodeToString(raw)
	beyond := nearPrime(0xf0) // p+3 is 3 in a second form
	for name, test := range map[string]struct {
		data string
		want error
	}{
		"raw":              {string(raw), nil},
		"base64":           {coded, nil},
		"with white space": {" \n" + coded + "\r\n", nil},
		"bad base64":       {"!!!", errBase64},
		"no padding":       {strings.TrimRight(coded, "="), errBase64},
		"URL alphabet":     {"__" + coded[2:], errBase64},
		"short":            {"QUJD", errPublic},
		"empty":            {"", errPublic},
		"not UTF-8":        {"\xff", errUTF8},
		"31 bytes":         {string(raw[:31]), errUTF8},
		"no point":         {"\x02" + strings.Repeat("\x00", 31), errPublic},
		"not reduced":      {string(beyond[:]), errPublic},
		"a PEM file":       {"-----BEGIN PUBLIC KEY-----\n", errBase64},
	} {
		path := filepath.Join(t.TempDir(), "key")
		if err := os.WriteFile(path, []byte(test.data), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := LoadKey(path)
		if err != test.want || err == nil && !bytes.Equal(key, raw) {
			t.Errorf("%s: %x, %v, want %v", name, key, err, test.want)
		}
	}
}

// TestUnreadable: a key file that is not there, a folder and a pipe, which could block for ever.
func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, pipe, filepath.Join(dir, "absent")} {
		if _, err := LoadKey(path); err != errRead {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestOnCurve: the keys that crypto/ed25519 makes are points.
func TestOnCurve(t *testing.T) {
	for i := range 64 {
		key := ed25519.NewKeyFromSeed(append(make([]byte, 31), byte(i))).Public().(ed25519.PublicKey)
		if !onCurve(key) {
			t.Errorf("%x is none", key)
		}
	}
}

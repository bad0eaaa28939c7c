package canonical_test

import (
	"strings"
	"testing"

	"github.com/decision-gate-host/decision-gate-host/host/canonical"
)

// benchmarkDocument is like the answers that providers give: objects of short strings and numbers.
var benchmarkDocument = []byte("[" + strings.TrimSuffix(strings.Repeat(`{"name":"build","ok":true,"count":17,"ratio":0.25,"tags":["a","b"],"note":null},`, 200), ",") + "]")

func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(benchmarkDocument)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := canonical.Parse(benchmarkDocument); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkParseNumbers is the document that takes the most memory for its size.
func BenchmarkParseNumbers(b *testing.B) {
	document := []byte("[" + strings.Repeat("0,", 100_000) + "0]")
	b.SetBytes(int64(len(document)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := canonical.Parse(document); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	v, err := canonical.Parse(benchmarkDocument)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(benchmarkDocument)))
	b.ReportAllocs()
	for b.Loop() {
		canonical.Hash(v)
	}
}

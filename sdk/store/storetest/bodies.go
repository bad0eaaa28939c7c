package storetest

import (
	"strings"

	"github.com/decision-gate-host/decision-gate-host/sdk/store"
)

var bodyChecks = []check{
	{"body-byte-for-byte", "a body is answered byte for byte by Get and Scan, at once and after a restart", bodyByteForByte},
	{"body-large", "bodies of some megabytes are answered byte for byte, together in one Get and one Scan", bodyLarge},
}

func bodyByteForByte(c *trial) {
	p := c.open()
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	bodies := map[string]string{
		"empty":                   "",
		"a NUL":                   "\x00",
		"NULs around text":        "\x00text\x00\x00",
		"JSON with spaces":        "{ \"b\" : 1,\n\t\"a\": 2 }\n",
		"JSON with a key twice":   `{"a":1,"a":2}`,
		"JSON with number forms":  `[1, 1.0, 1e0, 1E+0, -0, 0.10, 12345678901234567890]`,
		"JSON with escapes":       `"\u00e9\/\u003c<é"`,
		"JSON null":               "null",
		"no UTF-8":                "\xff\xfe\x80\xc3",
		"UTF-16 mark":             "\xef\xbb\xbftext",
		"line ends":               "a\r\nb\rc\n",
		"spaces at both ends":     "  text  ",
		"every byte":              string(every),
		"a number":                "007",
		"a quote":                 "'; drop table runs; --",
		"gzip magic":              "\x1f\x8b\x08\x00",
		"8 bytes, no counter":     "\xff\xff\xff\xff\xff\xff\xff\xff",
		"composed and decomposed": "é e\u0301",
		"64 KiB":                  randomBytes(64 << 10),
		"1 MiB of one byte":       strings.Repeat("a", 1<<20),
	}
	for name, body := range inOrder(bodies) {
		c.commit(p, put(key(name), body))
	}
	for _, when := range []string{"at once", "after a restart"} {
		for name, body := range inOrder(bodies) {
			if got := c.get(p, key(name)); string(got.Body) != body {
				c.Errorf("%s: Get %s answers %s", name, when, describeRecord(got))
			}
		}
		found := c.scan(p, everything())
		if len(found) != len(bodies) {
			c.Errorf("Scan %s answers %d records, want %d", when, len(found), len(bodies))
		}
		for _, got := range found {
			if body := bodies[string(got.Key.Path[0])]; string(got.Body) != body {
				c.Errorf("%s: Scan %s answers %s", got.Key.Path[0], when, describeRecord(got))
			}
		}
		p.stop()
		p = c.open()
	}
}

func bodyLarge(c *trial) {
	p := c.open()
	bodies := []string{randomBytes(3 << 20), "small", randomBytes(store.ScanPage), randomBytes(store.ScanPage - 1), "", randomBytes(5 << 20)}
	var ops []store.Op
	var keys []store.Key
	for i, body := range bodies {
		keys = append(keys, key("large", string(rune('a'+i))))
		ops = append(ops, put(keys[i], body))
	}
	c.commit(p, ops...)
	got := map[string][]store.Record{"Get": c.getAll(p, keys...), "Scan": c.scan(p, everything())}
	for how, records := range inOrder(got) {
		if len(records) != len(bodies) {
			c.Fatalf("%s answers %d records, want %d", how, len(records), len(bodies))
		}
		for i, record := range records {
			if string(record.Body) != bodies[i] {
				c.Errorf("%s: record %d of %d bytes has other bytes: %s", how, i, len(bodies[i]), describeRecord(record))
			}
		}
	}
}

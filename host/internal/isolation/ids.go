package isolation

import "strings"

// likely are ids that one careless step makes into one another: folding of case, Unicode normalisation, look-alikes, cutting at
// NUL or at a length, joining with a slash, decoding of percents. Both tenants have all of them.
var likely = []string{
	"a", "A", "\u0430", // the last is Cyrillic
	"k", "K", "\u212a", // the Kelvin sign
	"é", "e\u0301", "ß", "ss", "ﬁ", "fi", "İ", "i̇",
	"a/b", "a b", "..", "../a", "%00", "a%00", "a\u200b", "\ufeffa", "\u202ea", "🦀", "\uffff",
	"", "\x00", "a\x00", "a\x00b", "\x00a",
	strings.Repeat("a", 255), strings.Repeat("a", 256), strings.Repeat("a", 256) + "b", strings.Repeat("a", 300) + "\x00",
	strings.Repeat("é", 128), strings.Repeat("e\u0301", 128),
}

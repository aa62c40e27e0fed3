package fold

import (
	"testing"
	"unicode/utf8"
)

func TestText(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                   "",
		"Default/JANE":       "default/jane",
		"ÉCLAIR":             "éclair",
		"E\u0301clair":       "éclair", // composed
		"ΟΔΟΣ":               "οδοσ",
		"οδος":               "οδοσ", // final sigma
		"Straße":             "straße",
		"STRASSE":            "strasse",
		"\u017fcale":         "scale",    // long s
		"\u212bngstr\u00f6m": "ångström", // the Ångström sign
		"100%_\\":            "100%_\\",
		"日本語":                "日本語",
		"\U00010400":         "\U00010428",
	} {
		if got := Text(in); got != want {
			t.Errorf("Text(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestASCII(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                  "",
		"@AZ[`az{":          "@az[`az{",
		"Default/JANE":      "default/jane",
		"É":                 "É",
		"E\u0301":           "e\u0301",  // not composed
		"\u212aim":          "\u212aim", // the Kelvin sign
		"K\u0130M k\u0131m": "k\u0130m k\u0131m",
	} {
		if got := ASCII(in); got != want {
			t.Errorf("ASCII(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzText: folding a folded text changes nothing.
func FuzzText(f *testing.F) {
	for _, s := range []string{"É", "E\u0301", "ΟΔΟΣ", "İ", "ı", "ŉ", "ǰ", "\u0345", "ᾳ", "\u1e9e", "\u03f4"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := Text(s)
		if twice := Text(once); utf8.ValidString(s) && once != twice {
			t.Errorf("Text(%q) = %q, again %q", s, once, twice)
		}
	})
}

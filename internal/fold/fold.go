// Package fold decides which texts are equal if case does not matter. Databases
// disagree about that, so Go does it. Text is for searching; ASCII is for names,
// where two names that only look alike must stay two.
package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Text returns the form of s that is searched and ordered. It is in Unicode
// normal form C, and each character is mapped to upper and then to lower case by
// the simple mappings (UnicodeData.txt). Through upper case, the Greek final
// sigma and the long s become equal to their plain forms. "ß" stays "ß", because
// a simple mapping maps one character to one.
func Text(s string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		return unicode.ToLower(unicode.ToUpper(r))
	}, norm.NFC.String(s)))
}

// ASCII returns s with the letters A to Z in lower case and everything else
// unchanged. Text would make "K" (the Kelvin sign) a "k" and "İ" an "i".
func ASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}

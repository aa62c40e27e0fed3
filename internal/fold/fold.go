// Package fold decides which texts are equal if case does not matter. Databases
// disagree about that, so Go does it.
package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Text returns the form of s that is searched, ordered and, for refs, compared.
// It is in Unicode normal form C, and each character is mapped to upper and
// then to lower case by the simple mappings (UnicodeData.txt). Through upper
// case, the Greek final sigma and the long s become equal to their plain forms.
// "ß" stays "ß", because a simple mapping maps one character to one.
func Text(s string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		return unicode.ToLower(unicode.ToUpper(r))
	}, norm.NFC.String(s)))
}

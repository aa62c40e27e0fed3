// Package fold has the one function that decides which texts are equal when
// case does not count. Databases disagree about it, so it is done here, once.
package fold

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Text returns s in the form in which texts are searched, ordered and, for
// refs, compared: Unicode normal form C, each character mapped to upper and
// then to lower case by the simple mappings (UnicodeData.txt). Going through
// upper case makes the Greek final sigma and the long s equal to their plain
// forms; "ß" stays "ß", for no simple mapping changes the length.
func Text(s string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		return unicode.ToLower(unicode.ToUpper(r))
	}, norm.NFC.String(s)))
}

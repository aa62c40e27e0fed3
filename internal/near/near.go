// Package near finds what somebody who mistyped a word probably meant.
package near

import "strings"

// longest is the length of the longest word that is compared, in bytes. The
// time grows with its square.
const longest = 48

// Word returns the known word that is nearest to a word, in any case of its
// letters, and "" if none is near: at most one character in three may be
// inserted, removed or replaced.
func Word(word string, known []string) string {
	if word == "" || len(word) > longest {
		return ""
	}
	nearest, least := "", len(word)/3+1
	for _, candidate := range known {
		if len(candidate) > longest {
			continue
		}
		if d := distance(strings.ToLower(word), strings.ToLower(candidate)); d < least {
			nearest, least = candidate, d
		}
	}
	return nearest
}

// distance is that of Levenshtein, over bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		before := row[0] // of the row above, one column to the left
		row[0] = i + 1
		for j := range len(b) {
			replaced := before
			if a[i] != b[j] {
				replaced++
			}
			before = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

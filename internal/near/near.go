// Package near finds what somebody who mistyped a word probably meant.
package near

import "strings"

// longest is the length of the longest word that is compared, in bytes. The
// time grows with its square.
const longest = 48

// Word returns the known word that is nearest to a word, in any case of its
// letters, and "" if none is near: at most one character in three may be
// inserted, removed, replaced or swapped with the next.
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

// distance is that of Levenshtein, over bytes, where two neighbours that are
// swapped count as one (optimal string alignment).
func distance(a, b string) int {
	above, row := make([]int, len(b)+1), make([]int, len(b)+1)
	twoAbove := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		twoAbove, above, row = above, row, twoAbove
		row[0] = i + 1
		for j := range len(b) {
			replaced := above[j]
			if a[i] != b[j] {
				replaced++
			}
			row[j+1] = min(replaced, row[j]+1, above[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], twoAbove[j-1]+1)
			}
		}
	}
	return row[len(b)]
}

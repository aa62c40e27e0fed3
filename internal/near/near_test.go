package near

import (
	"strings"
	"testing"
)

func TestWord(t *testing.T) {
	t.Parallel()
	known := []string{"pageSize", "pageNumber", "orderBy", "orderByDirec", "read", "user", "targetUsers", strings.Repeat("x", longest+1)}
	for word, want := range map[string]string{
		"pagesize": "pageSize", "page_size": "pageSize", "PageSise": "pageSize", "pageNumbr": "pageNumber", "orderByDirection": "orderByDirec",
		"order": "", "orderby": "orderBy", "targetUser": "targetUsers", "reed": "read", "rd": "", "x": "", "": "", "é": "",
		"usre": "user", "uesr": "user", "raed": "read", "pagesziE": "pageSize", "users": "user", "srue": "", strings.Repeat("x", longest+1): "", strings.Repeat("pageSize", 1000): "",
	} {
		if got := Word(word, known); got != want {
			t.Errorf("%.30q is taken for %q, want %q", word, got, want)
		}
	}
}

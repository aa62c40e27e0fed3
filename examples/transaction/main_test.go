package main

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestExample(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), filepath.Join(t.TempDir(), "x.db"), &out); err != nil {
		t.Fatal(err)
	}
	if want := "orders: 1\njane reads: Order 1 is placed\n"; out.String() != want {
		t.Errorf("printed %q, want %q", out.String(), want)
	}
}

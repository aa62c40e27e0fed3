package catalog_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
)

func BenchmarkFiles(b *testing.B) {
	const users = 1000
	var text strings.Builder
	text.WriteString("kind: Group\nmetadata: {name: ops}\n---\nkind: Group\nmetadata: {name: dev}\n")
	refs := make([]notifications.Ref, users)
	for i := range refs {
		refs[i] = notifications.UserRef(fmt.Sprintf("default/user-%04d", i))
		fmt.Fprintf(&text, "---\nkind: User\nmetadata: {name: user-%04d}\nspec: {memberOf: [ops, dev]}\n", i)
	}
	files, err := catalog.LoadFS(fstest.MapFS{"org.yaml": {Data: []byte(text.String())}}, "org.yaml")
	if err != nil {
		b.Fatal(err)
	}
	canonical := func(ref string) func() error {
		return func() error { _, err := files.Canonical(notifications.KindUser, ref); return err }
	}
	for _, bc := range []struct {
		name string
		do   func() error
	}{
		{"groups", func() error { _, err := files.Groups(b.Context(), refs[0].Name); return err }},
		{"missing of 1", func() error { _, err := files.Missing(b.Context(), refs[:1]); return err }},
		{"missing of 1000", func() error { _, err := files.Missing(b.Context(), refs); return err }},
		{"canonical of a name", canonical("default/jane")},
		{"canonical of a ref", canonical("user:default/jane")},
		{"canonical in other letters", canonical("User:Default/Jane")},
	} {
		b.Run(bc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := bc.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

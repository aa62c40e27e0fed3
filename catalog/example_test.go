package catalog_test

import (
	"context"
	"fmt"
	"testing/fstest"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
)

func ExampleLoad() {
	cat, err := catalog.Load("testdata/users.yaml", "testdata/groups.yaml")
	if err != nil {
		fmt.Println(err)
		return
	}
	jane, err := cat.Canonical(notifications.KindUser, "default/JANE")
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := cat.Groups(context.Background(), jane)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, m := range in {
		fmt.Println(jane, "is in", m.Group)
	}
	// Output:
	// default/jane is in default/oncall
	// default/jane is in default/ops
}

// The error names all faults of the files, each with its place.
func ExampleLoadFS_mistakes() {
	_, err := catalog.LoadFS(fstest.MapFS{"org.yaml": {Data: []byte(`
kind: User
metadata:
  name: jane
spec:
  memberOf:
    - ops
    - user:default/guest
---
kind: Group
metadata: {title: Operations}
---
kind: User
metadata:
  name: Jane
`)}}, "org.yaml")
	fmt.Println(err)
	// Output:
	// org.yaml:8: user:default/jane: spec.memberOf[1]: "user:default/guest" names a user, a group is expected
	// org.yaml:10: Group: metadata.name: is missing
	// org.yaml:13: user:default/jane: is already defined at org.yaml:2
}

func ExampleOpen() {
	// The host has the users 42 and 43, and 42 is an editor.
	cat := catalog.Open(func(_ context.Context, user string) ([]string, error) {
		if user == "42" {
			return []string{"editors"}, nil
		}
		return nil, nil
	})
	user, err := cat.Canonical(notifications.KindUser, "42")
	if err != nil {
		fmt.Println(err)
		return
	}
	in, err := cat.Groups(context.Background(), user)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(user, "is in", in[0].Group)
	// Output: 42 is in editors
}

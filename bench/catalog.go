package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/notifications-go/notifications"
)

// memoryCatalog knows the users and groups of a world.
type memoryCatalog struct {
	groups map[string][]notifications.Membership // of every user, by canonical ref
	known  map[string]bool                       // groups
}

func newCatalog(w *world) *memoryCatalog {
	c := &memoryCatalog{groups: make(map[string][]notifications.Membership), known: make(map[string]bool)}
	for _, b := range w.blocks {
		for i := range b.count {
			switch b.kind {
			case toGroup:
				c.known[b.audience(i)] = true
			case toUser:
				var in []notifications.Membership
				for _, ref := range w.groupsOf(b, i) {
					in = append(in, notifications.Membership{Group: "group:" + ref})
				}
				c.groups[b.audience(i)] = in
			}
		}
	}
	return c
}

// Canonical puts the kind before a ref, in small letters.
func (c *memoryCatalog) Canonical(kind notifications.Kind, ref string) (string, error) {
	ref = strings.ToLower(strings.TrimPrefix(ref, string(kind)+":"))
	if !strings.HasPrefix(ref, "bench/") {
		return "", fmt.Errorf("is not of the form bench/name")
	}
	return string(kind) + ":" + ref, nil
}

// Groups returns the groups of a user.
func (c *memoryCatalog) Groups(_ context.Context, user string) ([]notifications.Membership, error) {
	return c.groups[user], nil
}

// Missing returns the refs that are neither a user nor a group.
func (c *memoryCatalog) Missing(_ context.Context, refs []string) ([]string, error) {
	var missing []string
	for _, ref := range refs {
		if _, user := c.groups[ref]; !user && !c.known[ref] {
			missing = append(missing, ref)
		}
	}
	return missing, nil
}

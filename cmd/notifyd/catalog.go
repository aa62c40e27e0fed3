package main

import (
	"context"
	"embed"
	"log/slog"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/catalog"
)

// example is the catalog of a server without --catalog.
//
//go:embed catalog.example.yaml
var example embed.FS

// loadCatalog returns the catalog that the settings ask for.
func loadCatalog(c *config) (notifications.Catalog, error) {
	switch {
	case c.openCatalog:
		return catalog.Open(nil), nil
	case len(c.catalogFiles) == 0:
		return catalog.LoadFS(example, "catalog.example.yaml")
	}
	cat, err := catalog.Load(c.catalogFiles...)
	if err != nil {
		return nil, c.fault("catalog", "%w", err)
	}
	return cat, nil
}

// reloadCatalog reads the files again. If a file has a fault, the catalog stays
// as it is.
func reloadCatalog(cat notifications.Catalog, log *slog.Logger) {
	files, ok := cat.(*catalog.Files)
	if !ok {
		log.Info("the open catalog has no files to read again")
		return
	}
	if err := files.Reload(); err != nil {
		log.Error("the catalog could not be read again and stays as it is", "error", err)
		return
	}
	users, groups := files.Len()
	log.Info("the catalog was read again", "users", users, "groups", groups)
}

// warnOfUnknownUsers logs users that the settings accept but the catalog does
// not know. They have no inbox.
func warnOfUnknownUsers(ctx context.Context, c *config, cat notifications.Catalog, log *slog.Logger) {
	refs := []string{c.externalUser}
	if c.acceptsGuests() {
		refs = append(refs, guestRef)
	}
	for _, ref := range refs {
		user, err := cat.Canonical(notifications.KindUser, ref)
		if err != nil {
			continue // not given, or refused before
		}
		if missing, err := cat.Missing(ctx, []notifications.Ref{notifications.UserRef(user)}); err == nil && len(missing) > 0 {
			log.Warn("the settings accept a user who is not in the catalog and so has no inbox", "user", ref)
		}
	}
}

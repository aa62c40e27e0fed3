package main

import (
	"context"
	_ "embed"
	"errors"
	"log/slog"

	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
)

//go:embed schema.sql
var schema string

// app is the host: its tables, and the inbox beside them.
type app struct {
	db     *gorm.DB
	people people
	inbox  *notifications.Service
	log    *slog.Logger
}

// self is who the host's own notifications are from.
var self = notifications.ServiceAccount("teams")

// ensureAdmin adds the first user, who adds the others.
func (a *app) ensureAdmin(ctx context.Context, password string) error {
	var users int64
	if err := a.db.WithContext(ctx).Table("users").Count(&users).Error; err != nil || users > 0 {
		return err
	}
	return a.addUser(ctx, newUser{name: "admin", password: password, team: "admins", role: "admin"})
}

type newUser struct{ name, password, team, role string }

// addUser adds a user to a team and welcomes them there, all or nothing. The
// catalog sees the user in the transaction.
func (a *app) addUser(ctx context.Context, u newUser) error {
	name, err := a.people.Canonical(notifications.KindUser, u.name)
	if err != nil {
		return notifications.Invalid("name", err.Error())
	}
	team, err := a.people.Canonical(notifications.KindGroup, u.team)
	if err != nil {
		return notifications.Invalid("team", err.Error())
	}
	hash, err := hashPassword(u.password)
	if err != nil {
		return err
	}
	return a.inTx(ctx, func(tx *gorm.DB, inbox *notifications.Service) error {
		added := tx.Exec("INSERT INTO users (name, password, role) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", name, hash, u.role)
		if added.Error != nil {
			return added.Error
		}
		if added.RowsAffected == 0 {
			return notifications.Invalid("name", "is taken")
		}
		if err := tx.Exec("INSERT INTO teams VALUES (?) ON CONFLICT DO NOTHING", team).Error; err != nil {
			return err
		}
		if err := tx.Exec("INSERT INTO memberships (user_name, team) VALUES (?, ?)", name, team).Error; err != nil {
			return err
		}
		_, err := inbox.PostMany(ctx, self, []notifications.Draft{
			{Origin: "teams", Title: "Welcome, " + name, Link: "/", To: notifications.Users(name)},
			{Origin: "teams", Title: name + " has joined " + team, Scope: "joined-" + name, To: notifications.Groups(team)},
		})
		return err
	})
}

// removeUser removes a user, what is theirs in the inbox, and what was said of
// them, all or nothing.
func (a *app) removeUser(ctx context.Context, name string) error {
	return a.inTx(ctx, func(tx *gorm.DB, inbox *notifications.Service) error {
		removed := tx.Exec("DELETE FROM users WHERE name = ?", name)
		if removed.Error != nil {
			return removed.Error
		}
		if removed.RowsAffected == 0 {
			return notifications.ErrNotFound
		}
		if _, err := inbox.WithdrawScope(ctx, self, notifications.ScopeKey{Origin: "teams", Scope: "joined-" + name}); err != nil {
			return err
		}
		_, err := inbox.EraseUser(ctx, self, name)
		return err
	})
}

// inTx runs do in a transaction of the host, with the Service bound to it. If it
// meets another transaction it is run again.
func (a *app) inTx(ctx context.Context, do func(tx *gorm.DB, inbox *notifications.Service) error) error {
	const attempts = 3
	for attempt := 1; ; attempt++ {
		err := a.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error { return do(tx, a.inbox.WithTx(tx)) })
		if !errors.Is(err, notifications.ErrRetry) || attempt == attempts {
			return err
		}
	}
}

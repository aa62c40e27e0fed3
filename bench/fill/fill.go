// Package fill fills a database with notifications, through the library: a great
// many of them, to users and groups, and partly read.
package fill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"gorm.io/gorm"

	"github.com/notifications-go/notifications"
)

// Tables are all that is filled.
var Tables = []string{"notification_messages", "notification_deliveries", "notification_states"}

// Marker is the table that says that a database is ours. Its one row has the
// [Spec] it is filled with, as JSON, and the newest id. An empty spec has it
// filled again.
const Marker = "notifybench_fill"

const (
	workers = 4   // post and mark at the same time
	atOnce  = 250 // messages are posted in a transaction
)

// filler fills one database.
type filler struct {
	*World
	db  *gorm.DB
	svc *notifications.Service
}

// Fill fills the database with w. One that is filled with it is not filled
// again; what measurements left behind is removed. A database with messages of
// others is refused.
func Fill(ctx context.Context, d *Database, w *World, log io.Writer) (err error) {
	db, err := d.Open(ctx, workers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, Close(db)) }()
	svc, err := NewService(db, w)
	if err != nil {
		return err
	}
	if err := svc.Migrate(ctx); err != nil {
		return err
	}
	spec, err := json.Marshal(w.Spec)
	if err != nil {
		return err
	}
	f := &filler{w, db.WithContext(ctx), svc}
	filled, newest, err := f.marker()
	if err != nil {
		return err
	}
	if filled == string(spec) {
		fmt.Fprintln(log, "the database is filled already")
		return f.reset(ctx, newest)
	}
	began := time.Now()
	if err := f.fill(ctx); err != nil {
		return fmt.Errorf("fill: %w", err)
	}
	fmt.Fprintf(log, "filled with %d messages in %v\n", w.Messages, time.Since(began).Round(time.Millisecond))
	return f.exec("UPDATE "+Marker+" SET spec = ?, newest = (SELECT id FROM "+Tables[0]+" ORDER BY id DESC LIMIT 1)", string(spec))
}

// marker is what the database is filled with, and the newest id of that.
func (f *filler) marker() (spec, newest string, err error) {
	if f.db.Migrator().HasTable(Marker) {
		return spec, newest, f.db.Raw("SELECT spec, newest FROM "+Marker).Row().Scan(&spec, &newest)
	}
	var foreign bool
	if err := f.db.Raw("SELECT EXISTS (SELECT 1 FROM " + Tables[0] + ")").Scan(&foreign).Error; err != nil {
		return "", "", err
	}
	if foreign {
		return "", "", errors.New("the database has messages that notifybench did not make; it measures only databases of its own")
	}
	if err := f.exec("CREATE TABLE " + Marker + " (spec text NOT NULL, newest text NOT NULL)"); err != nil {
		return "", "", err
	}
	return "", "", f.exec("INSERT INTO " + Marker + " VALUES ('', '')")
}

func (f *filler) exec(statement string, args ...any) error {
	return f.db.Exec(statement, args...).Error
}

// fill empties the tables and fills them.
func (f *filler) fill(ctx context.Context) error {
	empty := "TRUNCATE "
	if isSQLite(f.db) {
		empty = "DELETE FROM "
	}
	for _, statement := range []string{
		"UPDATE " + Marker + " SET spec = ''", empty + Tables[0], empty + Tables[1], empty + Tables[2],
	} {
		if err := f.exec(statement); err != nil {
			return err
		}
	}
	if err := each(ctx, (f.Messages+atOnce-1)/atOnce, func(ctx context.Context, k int) error {
		var drafts []notifications.Draft
		for n := k * atOnce; n < min((k+1)*atOnce, f.Messages); n++ {
			b, i := f.posted(n)
			to := notifications.Everyone()
			switch b.kind {
			case notifications.KindUser:
				to = notifications.Users(b.ref(i))
			case notifications.KindGroup:
				to = notifications.Groups(b.ref(i))
			}
			drafts = append(drafts, Draft(f.Random(texts, n), to))
		}
		_, err := f.svc.PostMany(ctx, Poster, drafts)
		return err
	}); err != nil {
		return err
	}
	for _, b := range f.blocks {
		if b.kind == notifications.KindUser {
			if err := f.markAll(ctx, b); err != nil {
				return err
			}
		}
	}
	return f.settle()
}

// reset removes what was posted since, and makes the marks of the measured users
// what they were.
func (f *filler) reset(ctx context.Context, newest string) error {
	for table, column := range map[string]string{Tables[0]: "id", Tables[1]: "message_id", Tables[2]: "message_id"} {
		if err := f.exec("DELETE FROM "+table+" WHERE "+column+" > ?", newest); err != nil {
			return err
		}
	}
	measured := f.block(notifications.KindUser, Measured)
	if err := each(ctx, measured.count, func(ctx context.Context, i int) error {
		all := notifications.ByFilter(notifications.Filter{})
		_, err := f.svc.SetState(ctx, notifications.User(measured.ref(i)), all, notifications.StateChange{Read: new(false)})
		return err
	}); err != nil {
		return err
	}
	return errors.Join(f.markAll(ctx, measured), f.settle())
}

// markAll marks a part of what the users of a block see. Of what is addressed to
// everybody only the measured users mark some.
func (f *filler) markAll(ctx context.Context, b block) error {
	if b.Unread && b.Hidden == 0 {
		return nil
	}
	return each(ctx, b.count, func(ctx context.Context, i int) error {
		who, filter := notifications.User(b.ref(i)), notifications.Filter{System: notifications.NotSystem}
		if b.name == Measured {
			filter.System = notifications.SystemOrNot
		}
		var ids []string
		seen := 0
		for n, err := range f.svc.All(ctx, who, filter) {
			if err != nil {
				return err
			}
			if seen < b.Hidden || !b.Unread && f.isRead(who.Name, seen) {
				ids = append(ids, n.ID)
			}
			seen++
		}
		change := notifications.StateChange{Read: new(true)}
		if b.Hidden > 0 {
			change.Archived = new(true)
		}
		for ids := range slices.Chunk(ids, notifications.MaxSelectedIDs) {
			if _, err := f.svc.SetState(ctx, who, notifications.ByIDs(ids...), change); err != nil {
				return err
			}
		}
		return nil
	})
}

// settle leaves the database as it is after a while of use. SQLite is normally
// not asked for statistics, so it is not asked here.
func (f *filler) settle() error {
	if isSQLite(f.db) {
		return f.exec("PRAGMA wal_checkpoint(TRUNCATE)")
	}
	for _, table := range Tables {
		if err := f.exec("VACUUM ANALYZE " + table); err != nil {
			return err
		}
	}
	_ = f.exec("CHECKPOINT") // only a superuser may; it then does not fall into a measurement
	return nil
}

// each does what is to be done for each number below n, several at a time. The
// first error ends it.
func each(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// Searched is a text that one message in sixteen has in its title.
const Searched = "rollback"

// texts is how many different ones there are.
const texts = 64

// Poster posts everything.
var Poster = notifications.ServiceAccount("notifybench")

var (
	origins = []string{"ci", "deploy", "pager", "billing", "security", "calendar", "reviews", "backup"}
	topics  = []string{"", "builds", "releases", "incidents", "invoices", "audits", "meetings", "pull-requests"}
	things  = []string{"payments", "search", "checkout", "ledger", "identity", "catalog", "gateway", "reports"}
)

// Draft is one of 64 texts, of a length and with the extras that are usual.
func Draft(n int, to notifications.Audience) notifications.Draft {
	n %= texts
	thing := things[n%len(things)]
	d := notifications.Draft{
		Origin: origins[n/len(things)],
		Title:  fmt.Sprintf("Build %d of %s has finished", 1000+n, thing),
		Message: fmt.Sprintf("The pipeline of %s ended after %d minutes. ", thing, 3+n%40) +
			strings.Repeat("See the log for what each step did and how long it took. ", 1+n%4),
		Topic: topics[n%len(topics)],
		To:    to,
	}
	if n%16 == 5 {
		d.Title = fmt.Sprintf("A %s of %s was needed", strings.ToUpper(Searched), thing)
	}
	if n%2 == 0 {
		d.Actions = []notifications.ActionDraft{{Title: "Open", URL: fmt.Sprintf("https://ci.example/%s/%d", thing, n)}}
	}
	return d
}

package notifications_test

import (
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/internal/dbtest"
	"gorm.io/gorm"
)

// atOnce is the number of goroutines that do the same at once.
const atOnce = 20

// inTx runs do in a transaction of the host, and repeats it after ErrRetry.
func inTx(db *gorm.DB, do func(tx *gorm.DB) error, options ...*sql.TxOptions) error {
	const attempts = 1000
	for attempt := 1; ; attempt++ {
		err := db.Transaction(do, options...)
		if !errors.Is(err, notifications.ErrRetry) || attempt == attempts {
			return err
		}
	}
}

// posters are the ways to post: in a transaction of the library, together with
// other drafts, and in a transaction of the host.
var posters = map[string]func(f *fixture, d notifications.Draft) (string, error){
	"Post": func(f *fixture, d notifications.Draft) (string, error) {
		posted, err := f.Post(f.t.Context(), ci, d)
		return posted.ID, err
	},
	"PostMany": func(f *fixture, d notifications.Draft) (string, error) {
		other := notifications.Draft{Origin: "another", Title: "to nobody of this test", To: toEmpty}
		posted, err := f.PostMany(f.t.Context(), ci, []notifications.Draft{other, d})
		if err != nil {
			return "", err
		}
		return posted[1].ID, nil
	},
	"WithTx": func(f *fixture, d notifications.Draft) (id string, err error) {
		err = inTx(f.db, func(tx *gorm.DB) error {
			posted, err := f.WithTx(tx).Post(f.t.Context(), ci, d)
			id = posted.ID
			return err
		})
		return id, err
	},
}

// eachPoster runs body for each way to post, on both databases.
func eachPoster(t *testing.T, body func(f *fixture, post func(notifications.Draft) (string, error))) {
	t.Helper()
	for name, post := range posters {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
				f := newFixture(t, db)
				body(f, func(d notifications.Draft) (string, error) { return post(f, d) })
			})
		})
	}
}

// TestScopeAtOnce: of many posts of one scope at once, one is left. After the
// first post, readers always see exactly one.
func TestScopeAtOnce(t *testing.T) {
	t.Parallel()
	eachPoster(t, func(f *fixture, post func(notifications.Draft) (string, error)) {
		first, err := post(scopedDraft("first", toJane.And(toOps)))
		if err != nil {
			f.t.Fatal(err)
		}
		posted := []string{first}
		var mu sync.Mutex
		f.whileReading(func(items []notifications.Notification) bool { return len(items) == 1 }, func() {
			concurrently(f.t, atOnce, func(i int) error {
				id, err := post(scopedDraft(fmt.Sprint(i), toJane.And(toOps)))
				mu.Lock()
				defer mu.Unlock()
				posted = append(posted, id)
				return err
			})
		})
		f.wantOneOf(jane, posted)
		f.wantOneOf(john, posted)
		f.purge(0, atOnce)
	})
}

// TestScopeAtOnceWithWithdrawals withdraws the scope during the posts. Readers
// then see one post or none, but never two.
func TestScopeAtOnceWithWithdrawals(t *testing.T) {
	t.Parallel()
	eachPoster(t, func(f *fixture, post func(notifications.Draft) (string, error)) {
		var withdrawn atomic.Int64
		f.whileReading(func(items []notifications.Notification) bool { return len(items) <= 1 }, func() {
			concurrently(f.t, 2*atOnce, func(i int) error {
				if i%2 == 0 {
					_, err := post(scopedDraft(fmt.Sprint(i), toJane.And(toOps)))
					return err
				}
				n, err := f.WithdrawScope(f.t.Context(), ci, notifications.ScopeKey{Origin: "test", Scope: "build 7"})
				withdrawn.Add(n)
				return err
			})
		})
		last, err := post(scopedDraft("last", toJane.And(toOps)))
		if err != nil {
			f.t.Fatal(err)
		}
		f.wantOneOf(jane, []string{last})
		if n := withdrawn.Load(); n > atOnce {
			f.t.Errorf("%d withdrawn, of %d", n, atOnce)
		}
		f.withdrawScope(1)
		f.wantVisible(jane)
		f.purge(0, atOnce+1)
	})
}

// whileReading checks repeatedly what jane sees, until do returns.
func (f *fixture) whileReading(accept func([]notifications.Notification) bool, do func()) {
	f.t.Helper()
	var done atomic.Bool
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for reads := 0; !done.Load() || reads == 0; reads++ {
				page, err := f.List(f.t.Context(), jane, notifications.ListQuery{})
				if err != nil || !accept(page.Items) {
					f.t.Errorf("meanwhile jane sees %q, %v", titlesOf(page.Items), err)
					return
				}
			}
		})
	}
	do()
	done.Store(true)
	readers.Wait()
}

// wantOneOf checks that the reader sees one notification, and that it is one of
// these.
func (f *fixture) wantOneOf(who notifications.Identity, posted []string) {
	f.t.Helper()
	items := f.list(who, notifications.ListQuery{Filter: withArchived}).Items
	if len(items) != 1 || !slices.Contains(posted, items[0].ID) {
		f.t.Errorf("%s sees %q, want one of those posted", who, titlesOf(items))
	}
}

// TestKeyAtOnce: of many posts with one key, one is stored, and all return its
// id.
func TestKeyAtOnce(t *testing.T) {
	t.Parallel()
	eachPoster(t, func(f *fixture, post func(notifications.Draft) (string, error)) {
		for name, d := range map[string]notifications.Draft{"plain": keyedDraft("plain", toJane), "scope": scopedDraft("scope", toJohn)} {
			d.IdempotencyKey = name
			ids := make([]string, atOnce)
			concurrently(f.t, atOnce, func(i int) (err error) {
				ids[i], err = post(d)
				return err
			})
			if slices.Sort(ids); ids[0] != ids[atOnce-1] || ids[0] == "" {
				f.t.Errorf("%s: answered with %q, want one id", name, slices.Compact(ids))
			}
		}
		f.wantVisible(jane, "plain")
		f.wantVisible(john, "scope")
	})
}

func withKey(key string, d notifications.Draft) notifications.Draft {
	d.IdempotencyKey = key
	return d
}

var errRollBack = errors.New("roll back")

// TestKeyRolledBack: a key is remembered when its transaction commits. If that
// rolls back, a post that waited for it stores the notification.
func TestKeyRolledBack(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"commit": nil, "rollback": errRollBack} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
				f := newFixture(t, db)
				var first, second string
				var other sync.WaitGroup
				var done atomic.Bool
				err := f.db.Transaction(func(tx *gorm.DB) (err error) {
					posted, err := f.WithTx(tx).Post(t.Context(), ci, keyedDraft("a", toJane))
					if first = posted.ID; err != nil {
						return err
					}
					other.Go(func() {
						second = f.postDraft(keyedDraft("a", toJane))
						done.Store(true)
					})
					waitForLock(t, tx, &done)
					return outcome
				})
				if !errors.Is(err, outcome) {
					t.Fatal(err)
				}
				other.Wait()
				f.wantVisible(jane, "a")
				f.get(jane, second)
				if (first == second) != (outcome == nil) {
					t.Errorf("first %s, then %s", first, second)
				}
			})
		})
	}
}

// waitForLock waits until another transaction waits for a lock, or is done.
// SQLite does not show its waiting transactions.
func waitForLock(t *testing.T, tx *gorm.DB, done *atomic.Bool) {
	t.Helper()
	if tx.Name() != "postgres" {
		return
	}
	const waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
	for n := 0; n == 0 && !done.Load(); runtime.Gosched() {
		// Without this the view does not change within a transaction.
		if err := tx.Exec("SELECT pg_stat_clear_snapshot()").Error; err != nil {
			t.Fatal(err)
		}
		if err := tx.Raw(waiting).Find(&n).Error; err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeyAtOnceWithRollbacks: all posts that commit return one id.
func TestKeyAtOnceWithRollbacks(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		ids := make([]string, atOnce)
		concurrently(t, atOnce, func(i int) error {
			err := inTx(db, func(tx *gorm.DB) (err error) {
				posted, err := f.WithTx(tx).Post(t.Context(), ci, keyedDraft("a", toJane))
				if ids[i] = posted.ID; err != nil || i%2 == 0 {
					return err
				}
				ids[i] = ""
				return errRollBack
			})
			if errors.Is(err, errRollBack) {
				return nil
			}
			return err
		})
		slices.Sort(ids)
		if committed := slices.Compact(ids[atOnce/2:]); len(committed) != 1 || committed[0] == "" {
			t.Errorf("answered with %q, want one id", committed)
		}
		f.wantVisible(jane, "a")
	})
}

// TestConflictLeavesTheTransaction: ErrKeyReused and ErrTargetsDiffer come
// before a statement fails, so the host's transaction can go on.
func TestConflictLeavesTheTransaction(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		if err := db.Exec("CREATE TABLE orders (id INTEGER PRIMARY KEY)").Error; err != nil {
			t.Fatal(err)
		}
		f.postDraft(keyedDraft("first", toJane))
		f.postDraft(scopedDraft("scoped", toJane))
		both := keepPlaceDraft("other targets", toJohn)
		both.IdempotencyKey = "another key"
		for i, tt := range []struct {
			d    notifications.Draft
			want error
		}{
			{keyedDraft("other content", toJane), notifications.ErrKeyReused},
			{keepPlaceDraft("other targets", toJohn), notifications.ErrTargetsDiffer},
			{both, notifications.ErrTargetsDiffer},
		} {
			err := db.Transaction(func(tx *gorm.DB) error {
				if posted, err := f.WithTx(tx).Post(t.Context(), ci, tt.d); !errors.Is(err, tt.want) || posted.ID != "" || errors.Is(err, notifications.ErrUnavailable) {
					t.Errorf("Post(%q) = %+v, %v; want %v", tt.d.Title, posted, err, tt.want)
				}
				return tx.Exec("INSERT INTO orders VALUES (?)", i).Error
			})
			if err != nil {
				t.Errorf("the transaction after %v: %v", tt.want, err)
			}
		}
		var orders int64
		if err := db.Raw("SELECT count(*) FROM orders").Find(&orders).Error; err != nil || orders != 3 {
			t.Errorf("%d orders, %v; want 3", orders, err)
		}
		f.wantVisible(jane, "scoped", "first")
		f.wantVisible(john)
		f.postDraft(withKey("another key", keyedDraft("other content", toJane.And(toJohn)))) // the refused post did not store its key
		f.wantVisible(john, "other content")
	})
}

// TestRepeatableRead: a transaction that cannot see the post it conflicts with
// gets ErrRetry. It never stores a second notification.
func TestRepeatableRead(t *testing.T) {
	t.Parallel()
	for _, isolation := range []sql.IsolationLevel{sql.LevelRepeatableRead, sql.LevelSerializable} {
		for name, d := range map[string]notifications.Draft{
			"key":       keyedDraft("a", toJane),
			"scope":     scopedDraft("a", toJane),
			"keeping":   keepPlaceDraft("a", toJane),
			"key+scope": withKey("k", scopedDraft("a", toJane)),
		} {
			for _, before := range []bool{false, true} {
				if before && d.Scope == "" {
					continue
				}
				t.Run(fmt.Sprint(isolation, "/", name, "/before=", before), func(t *testing.T) {
					t.Parallel()
					f := newFixture(t, dbtest.Postgres(t))
					if before {
						f.postDraft(scopedDraft("earlier", toJane))
					}
					meet := sync.OnceValue(func() string { return f.postDraft(d) })
					var failures int
					var id string
					options := &sql.TxOptions{Isolation: isolation}
					err := inTx(f.db, func(tx *gorm.DB) (err error) {
						var n int64
						if err := tx.Raw("SELECT count(*) FROM notification_messages").Find(&n).Error; err != nil {
							return err
						}
						meet() // after the transaction has its snapshot
						posted, err := f.WithTx(tx).Post(t.Context(), ci, d)
						if id = posted.ID; err != nil {
							failures++
							if !errors.Is(err, notifications.ErrRetry) || !errors.Is(err, notifications.ErrUnavailable) {
								t.Errorf("Post: %v, want ErrRetry and ErrUnavailable", err)
							}
						}
						return err
					}, options)
					if err != nil || failures != 1 {
						t.Errorf("%d failures, then %v; want one, then none", failures, err)
					}
					if same := id == meet(); same != (d.IdempotencyKey != "" || d.KeepPlace) {
						t.Errorf("answered with %s, the other with %s", id, meet())
					}
					f.wantVisible(jane, "a")
				})
			}
		}
	}
}

// TestWithdrawAtOnce: one of the calls succeeds.
func TestWithdrawAtOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		id := f.post("a", toJane)
		var done atomic.Int64
		concurrently(t, atOnce, func(int) error {
			err := f.Withdraw(t.Context(), ci, id)
			if err == nil {
				done.Add(1)
			}
			if errors.Is(err, notifications.ErrNotFound) {
				return nil
			}
			return err
		})
		if done.Load() != 1 {
			t.Errorf("%d have withdrawn it, want 1", done.Load())
		}
	})
}

// TestWithdrawTooLate: another call withdraws between this one's read and its
// write.
func TestWithdrawTooLate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		id := f.post("a", toJane)
		f.post("b", toJane)
		stop := onStatement(t, db, func(n int64) {
			if n == 1 {
				f.withdraw(id)
			}
		})
		err := f.Withdraw(t.Context(), ci, id)
		stop()
		if !errors.Is(err, notifications.ErrNotFound) {
			t.Errorf("withdrawing what was just withdrawn: %v, want ErrNotFound", err)
		}
	})
}

// TestEraseWhilePosting: a post replaces one that was addressed to the user and
// others. It does not store the name of the erased user again.
func TestEraseWhilePosting(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, db *gorm.DB) {
		f := newFixture(t, db)
		for i := range 30 {
			f.postDraft(scopedDraft("first", toJane.And(toJohn).And(toOps)))
			concurrently(t, 2, func(j int) error {
				if j == 0 {
					_, err := f.EraseUser(t.Context(), ci, "default/jane")
					return err
				}
				_, err := f.Post(t.Context(), ci, scopedDraft("later", toJohn))
				return err
			})
			if found := f.mentions("user:default/jane"); len(found) > 0 {
				t.Fatalf("round %d: after erasing, the user is in %q", i, found)
			}
			f.withdrawScope(2)
		}
	})
}

// mentions returns the columns of the library's tables that contain a text.
func (f *fixture) mentions(text string) []string {
	f.t.Helper()
	var found []string
	for _, table := range []string{"messages", "deliveries", "states", "scopes", "idempotency_keys"} {
		table = "notification_" + table
		columns, err := f.db.Migrator().ColumnTypes(table)
		if err != nil || len(columns) < 3 {
			f.t.Fatalf("columns of %s: %v, %v", table, columns, err)
		}
		for _, column := range columns {
			var n int64
			sql := fmt.Sprintf("SELECT count(*) FROM %s WHERE CAST(%s AS text) LIKE ?", table, column.Name())
			if err := f.db.Raw(sql, "%"+text+"%").Find(&n).Error; err != nil {
				f.t.Fatal(err)
			}
			if n > 0 {
				found = append(found, strings.TrimPrefix(table, "notification_")+"."+column.Name())
			}
		}
	}
	return found
}

// TestConflictsAreTriedAgain: a transaction of the library is tried five times,
// and one of the host once.
func TestConflictsAreTriedAgain(t *testing.T) {
	t.Parallel()
	db := dbtest.Postgres(t)
	f := newFixture(t, db)
	for _, sql := range []string{
		"CREATE SEQUENCE meetings", // a rollback does not undo a sequence
		"CREATE FUNCTION meet() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN" +
			" IF nextval('meetings') % 5 <> 0 THEN RAISE EXCEPTION 'met another' USING ERRCODE = TG_ARGV[0]; END IF; RETURN NEW; END $$",
	} {
		if err := db.Exec(sql).Error; err != nil {
			t.Fatal(err)
		}
	}
	meet := func(code string) {
		t.Helper()
		if err := db.Exec("CREATE OR REPLACE TRIGGER meet BEFORE INSERT ON notification_messages FOR EACH ROW EXECUTE FUNCTION meet('" + code + "')").Error; err != nil {
			t.Fatal(err)
		}
	}
	for _, code := range []string{"40001", "40P01"} {
		meet(code)
		f.post("plain "+code, toJane) // succeeds at the fifth attempt
		f.postDraft(withKey(code, keyedDraft("keyed "+code, toJane)))
		err := db.Transaction(func(tx *gorm.DB) error {
			_, err := f.WithTx(tx).Post(t.Context(), ci, validDraft(func(*notifications.Draft) {}))
			return err
		})
		if !errors.Is(err, notifications.ErrRetry) || !errors.Is(err, notifications.ErrUnavailable) {
			t.Errorf("in a transaction of the host: %v, want ErrRetry and ErrUnavailable", err)
		}
		if err := db.Exec("SELECT setval('meetings', 5)").Error; err != nil {
			t.Fatal(err)
		}
	}
	meet("22012")
	if _, err := f.Post(t.Context(), ci, validDraft(func(*notifications.Draft) {})); !errors.Is(err, notifications.ErrUnavailable) || errors.Is(err, notifications.ErrRetry) {
		t.Errorf("another failure: %v, want ErrUnavailable alone", err)
	}
	f.wantVisible(jane, "keyed 40P01", "plain 40P01", "keyed 40001", "plain 40001")
}

package run

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/notifications-go/notifications"
	"github.com/notifications-go/notifications/bench/fill"
	"github.com/notifications-go/notifications/bench/measure"
	"github.com/notifications-go/notifications/bench/report"
)

// What is done at scale.
const (
	churnPart  = 20  // one mark or post for so many messages
	postEvery  = 10  // one in so many of these is a post
	purgePart  = 5   // one in so many messages is purged, the oldest
	purgeBatch = 500 // messages to a transaction
	probes     = 300 // lists and unread counts, one at a time, for each latency
)

// scale is a large database on its way through the stages.
type scale struct {
	Config
	*bed
	list, unread *measure.Operation
	marks        []target
	churned      int // marks and posts
}

// Scale marks, posts and purges in a large PostgreSQL database, and prints after
// each stage how long that took, what reads take, and how the tables are.
func Scale(ctx context.Context, c Config) (err error) {
	b, err := c.fillBed(ctx, c.Spec, "")
	defer func() { err = errors.Join(err, b.close()) }()
	if err != nil {
		return err
	}
	if b.db, err = b.open(ctx, 1); err != nil {
		return err
	}
	settings, err := fill.Settings(ctx, b.db)
	if err != nil {
		return err
	}
	b.db = b.db.WithContext(ctx)
	if err := b.db.Exec("UPDATE " + fill.Marker + " SET spec = ''").Error; err != nil { // a database that is kept is to be filled again
		return err
	}
	users := b.world.UserNames(fill.Measured)
	r := everything(users[:min(len(users), c.Samples)])
	s := &scale{Config: c, bed: b, list: r.firstPage(), unread: r.unreadCount(), churned: c.Spec.Messages / churnPart}
	others := reader{users: b.world.UserNames(fill.Others)}.unread()
	if err := s.withService(ctx, func(ctx context.Context, svc *notifications.Service) (err error) {
		s.marks, err = unreadMessages(ctx, svc, others, s.churned/2)
		return err
	}); err != nil {
		return err
	}
	fmt.Fprintf(c.Output, "\n%s; %s.\n%s.\n", report.Machine(), b.world, settings)
	return s.stages(ctx)
}

func (s *scale) stages(ctx context.Context) error {
	for _, stage := range []struct {
		title string
		do    func(ctx context.Context) (done int64, err error)
	}{
		{"the fill", func(context.Context) (int64, error) { return 0, nil }},
		{fmt.Sprintf("%d marks and posts by %d at once", s.churned, s.Concurrency), s.churn},
		{fmt.Sprintf("the purge of the oldest fifth, %d messages to a transaction", purgeBatch), s.purge},
		{"VACUUM", s.eachTable("VACUUM ")},
		{"REINDEX", s.eachTable("REINDEX TABLE CONCURRENTLY ")},
	} {
		began := time.Now()
		done, err := stage.do(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", stage.title, err)
		}
		seconds := time.Since(began).Seconds()
		fmt.Fprintf(s.Output, "\n**After %s**, %d in %.1f s, %.0f a second:", stage.title, done, seconds, float64(done)/seconds)
		if err := s.withService(ctx, s.probe); err != nil {
			return err
		}
		if err := s.printTables(); err != nil {
			return err
		}
	}
	return nil
}

// withService lends a service over connections of its own.
func (s *scale) withService(ctx context.Context, do func(ctx context.Context, svc *notifications.Service) error) (err error) {
	db, err := s.database.Open(ctx, s.Concurrency+1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fill.Close(db)) }()
	svc, err := fill.NewService(db, s.world)
	if err != nil {
		return err
	}
	return do(ctx, svc)
}

// probe prints what the reads take, one at a time.
func (s *scale) probe(ctx context.Context, svc *notifications.Service) error {
	plan := measure.Plan{Concurrency: 1, Operations: probes}
	for _, op := range []*measure.Operation{s.list, s.unread} {
		latencies, err := plan.Do(ctx, measure.Service(svc), op)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.Output, " %s %.2f ms.", op.Title, measure.Percentile(latencies, 0.5))
	}
	fmt.Fprintln(s.Output)
	return nil
}

// churn marks and posts, and prints what reads take meanwhile.
func (s *scale) churn(ctx context.Context) (int64, error) {
	return int64(s.churned), s.withService(ctx, func(ctx context.Context, svc *notifications.Service) error {
		mark, toOne := markOne(s.marks), posts(s.world, s.churned)[0]
		op := &measure.Operation{Title: "churn", Period: s.churned, Service: func(ctx context.Context, svc *notifications.Service, i int) (string, error) {
			if i%postEvery == postEvery-1 {
				return toOne.Service(ctx, svc, i)
			}
			return mark.Service(ctx, svc, i)
		}}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		ended := make(chan error, 1)
		go func() {
			plan := measure.Plan{Concurrency: s.Concurrency, Operations: s.churned}
			_, err := plan.Do(ctx, measure.Service(svc), op)
			ended <- err
		}()
		fmt.Fprint(s.Output, "\nDuring marks and posts:")
		if err := s.probe(ctx, svc); err != nil {
			cancel()
			return errors.Join(err, <-ended)
		}
		return <-ended
	})
}

// purge removes the oldest messages: those older than the first that is kept.
func (s *scale) purge(ctx context.Context) (removed int64, err error) {
	var kept int64 // Unix milliseconds, which an id begins with (RFC 9562, section 5.7)
	err = s.db.Raw("SELECT ('x' || left(replace(id::text, '-', ''), 12))::bit(48)::bigint FROM "+fill.Tables[0]+" ORDER BY id OFFSET ? LIMIT 1",
		s.world.Messages/purgePart).Row().Scan(&kept)
	if err != nil {
		return 0, err
	}
	err = s.withService(ctx, func(ctx context.Context, svc *notifications.Service) error {
		done, err := svc.Purge(ctx, notifications.PurgeOptions{OlderThan: time.Since(time.UnixMilli(kept)), Batch: purgeBatch})
		removed = done.Removed
		return err
	})
	return removed, err
}

// eachTable runs a command on the tables, one after another.
func (s *scale) eachTable(command string) func(ctx context.Context) (int64, error) {
	return func(context.Context) (int64, error) {
		for _, table := range fill.Tables {
			if err := s.db.Exec(command + table).Error; err != nil {
				return 0, err
			}
		}
		return int64(len(fill.Tables)), nil
	}
}

// printTables prints the tables, each before its indexes, of which only the size
// is known. An update within a page (HOT) touches no index.
func (s *scale) printTables() error {
	// A server process adds what it counted to the statistics when it ends. For
	// one that does not belong to us, five seconds are enough.
	for others, i := 1, 0; others > 0 && i < 500; i++ {
		err := s.db.Raw("SELECT count(*) FROM pg_stat_activity, pg_sleep(0.01) WHERE datname = current_database()" +
			" AND pid <> pg_backend_pid() AND backend_type = 'client backend'").Row().Scan(&others)
		if err != nil {
			return err
		}
	}
	fmt.Fprint(s.Output, "\n| table or index | MB | rows | dead rows | updates | within a page | autovacuums |\n|---|--:|--:|--:|--:|--:|--:|\n")
	for _, table := range fill.Tables {
		var text string
		err := s.db.Raw(`
			SELECT format('| %s | %s | %s | %s | %s | %s | %s |', relname, round(pg_table_size(relid) / 1e6, 1), (SELECT count(*) FROM `+table+`),
				n_dead_tup, n_tup_upd, n_tup_hot_upd, autovacuum_count)
				|| (SELECT string_agg(format(E'\n| %s | %s | | | | | |', indexrelname, round(pg_relation_size(indexrelid) / 1e6, 1)), '' ORDER BY indexrelname)
					FROM pg_stat_user_indexes i WHERE i.relid = t.relid)
			FROM pg_stat_user_tables t WHERE relid = ?::text::regclass`, table).Row().Scan(&text)
		if err != nil {
			return err
		}
		fmt.Fprintln(s.Output, text)
	}
	return nil
}

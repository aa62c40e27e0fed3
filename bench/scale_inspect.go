package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

// filledTables are those that grow. The others stay empty in a fill.
var filledTables = []string{messagesTable, deliveriesTable, statesTable}

// inspector asks a PostgreSQL server what it knows of a database.
type inspector struct{ conn *pgx.Conn }

func newInspector(ctx context.Context, t *target) (inspector, error) {
	conn, err := pgx.Connect(ctx, t.url)
	return inspector{conn}, err
}

func (i inspector) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dropTimeout)
	defer cancel()
	return i.conn.Close(ctx)
}

// quiet waits until nobody else is connected: a server process adds what it
// counted to the statistics when it ends, and up to ten seconds late before.
// Those of somebody else are not waited for long.
func (i inspector) quiet(ctx context.Context) error {
	const most, between = 5 * time.Second, 10 * time.Millisecond
	for began := time.Now(); time.Since(began) < most; {
		var others int
		err := i.conn.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity"+
			" WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'").Scan(&others)
		if err != nil || others == 0 {
			return err
		}
		if err := pause(ctx, between); err != nil {
			return err
		}
	}
	return nil
}

// pause waits, or ends with the context.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// settings are those of the server that decide what is measured.
func (i inspector) settings(ctx context.Context) ([]setting, error) {
	var all []setting
	for _, name := range append(slices.Clone(postgresSettings),
		"max_wal_size", "maintenance_work_mem", "autovacuum", "autovacuum_naptime", "autovacuum_vacuum_scale_factor") {
		s := setting{Name: name}
		if err := i.conn.QueryRow(ctx, "SHOW "+name).Scan(&s.Value); err != nil {
			return nil, fmt.Errorf("SHOW %s: %w", name, err)
		}
		all = append(all, s)
	}
	return all, nil
}

// wholeTables is the relation t(oid, name, reltoastrelid, reltuples) of the
// tables in the parameter.
const wholeTables = "(SELECT c.oid, c.relname::text AS name, c.reltoastrelid, greatest(c.reltuples, 0)::float8 AS reltuples FROM pg_class c" +
	" WHERE c.relkind = 'r' AND c.relname = ANY ($1::text[]) AND c.relnamespace = current_schema()::regnamespace) t"

// relationSize is what a table without its indexes, its TOAST table or an
// index takes on disk.
type relationSize struct {
	Table string `json:"table"`
	Part  string `json:"part"` // "table", "toast" or the name of an index
	Rows  int64  `json:"rows"` // of the table
	Bytes int64  `json:"bytes"`
	// InTimeOrder is the bytes for a row of an index to which rows were added
	// in the order of time; 0 where the fill adds them so.
	InTimeOrder float64 `json:"inTimeOrder,omitempty" db:"-"`
}

const (
	tablePart = "table"
	toastPart = "toast"
)

// sizes are those of all tables that grow and of their indexes.
func (i inspector) sizes(ctx context.Context) ([]relationSize, error) {
	const toast = "coalesce(pg_total_relation_size(nullif(t.reltoastrelid, 0)), 0)"
	rows, err := i.conn.Query(ctx, "SELECT name, part, 0::bigint, sum(bytes)::bigint FROM ("+
		"SELECT 1 AS place, t.name, '"+tablePart+"' AS part, pg_table_size(t.oid) - "+toast+" AS bytes FROM "+wholeTables+
		" UNION ALL SELECT 2, t.name, '"+toastPart+"', "+toast+" FROM "+wholeTables+
		" UNION ALL SELECT 3, t.name, c.relname, pg_relation_size(x.indexrelid) FROM "+wholeTables+
		" JOIN pg_index x ON x.indrelid = t.oid JOIN pg_class c ON c.oid = x.indexrelid"+
		") parts GROUP BY place, name, part ORDER BY array_position($1, name), place, part", filledTables)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[relationSize])
	if err != nil {
		return nil, err
	}
	counts, err := i.counts(ctx)
	for k := range all {
		all[k].Rows = counts[all[k].Table]
	}
	return all, err
}

// counts are the numbers of rows.
func (i inspector) counts(ctx context.Context) (map[string]int64, error) {
	counts := make(map[string]int64)
	for _, table := range filledTables {
		var n int64
		if err := i.conn.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n); err != nil {
			return nil, err
		}
		counts[table] = n
	}
	return counts, nil
}

// tableActivity is what the server counted at a table since it exists.
type tableActivity struct {
	Table          string     `json:"table"`
	Dead           int64      `json:"dead"` // rows that nobody can see any more
	AutovacuumAt   float64    `json:"autovacuumAt"`
	Updates        int64      `json:"updates"`
	HOT            int64      `json:"hot"` // updates that touched no index
	Autovacuums    int64      `json:"autovacuums"`
	LastAutovacuum *time.Time `json:"lastAutovacuum,omitempty"`
	TableBytes     int64      `json:"tableBytes"` // with TOAST
	IndexBytes     int64      `json:"indexBytes"`
}

func (i inspector) activity(ctx context.Context) ([]tableActivity, error) {
	rows, err := i.conn.Query(ctx, "SELECT t.name, sum(s.n_dead_tup)::bigint,"+
		" sum(current_setting('autovacuum_vacuum_threshold')::float8"+
		" + current_setting('autovacuum_vacuum_scale_factor')::float8 * t.reltuples),"+
		" sum(s.n_tup_upd)::bigint, sum(s.n_tup_hot_upd)::bigint, sum(s.autovacuum_count)::bigint, max(s.last_autovacuum),"+
		" sum(pg_table_size(t.oid))::bigint, sum(pg_indexes_size(t.oid))::bigint"+
		" FROM "+wholeTables+" JOIN pg_stat_user_tables s ON s.relid = t.oid GROUP BY t.name ORDER BY array_position($1, t.name)", filledTables)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[tableActivity])
}

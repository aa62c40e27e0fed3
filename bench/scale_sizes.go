package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"
)

// orderedRows is how many rows are added once more, in the order of time.
const orderedRows = 1_000_000

// addTimeOrder finds out what indexes take where rows come in the order of
// time, as they do in use. The fill adds them in the order of the keys, which
// leaves pages full that in use are split.
func (s *scale) addTimeOrder(ctx context.Context, sizes []relationSize) error {
	for _, table := range []string{deliveriesTable, statesTable} {
		perRow, err := s.inTimeOrder(ctx, table)
		if err != nil {
			return err
		}
		for i := range sizes {
			if sizes[i].Table == table {
				sizes[i].InTimeOrder = perRow[sizes[i].Part]
			}
		}
	}
	return nil
}

// inTimeOrder copies the oldest rows of a table and returns the bytes for a row
// of each index.
func (i inspector) inTimeOrder(ctx context.Context, table string) (_ map[string]float64, err error) {
	tx, err := i.conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, tx.Rollback(ctx)) }() // and the copy is gone
	const name = "notifybench_in_time_order"
	if _, err := tx.Exec(ctx, "CREATE UNLOGGED TABLE "+name+" (LIKE "+table+" INCLUDING ALL)"); err != nil {
		return nil, err
	}
	added, err := tx.Exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT * FROM %s ORDER BY message_id LIMIT %d", name, table, orderedRows))
	if err != nil {
		return nil, err
	}
	const columns = "(SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute WHERE attrelid = "
	rows, err := tx.Query(ctx, "SELECT c.relname::text, pg_relation_size(copy.indexrelid) FROM pg_index x JOIN pg_class c ON c.oid = x.indexrelid"+
		" JOIN pg_index copy ON "+columns+"x.indexrelid) = "+columns+"copy.indexrelid)"+
		" WHERE x.indrelid = $1::text::regclass AND copy.indrelid = $2::text::regclass", table, name)
	if err != nil {
		return nil, err
	}
	perRow := make(map[string]float64)
	var index string
	var bytes int64
	_, err = pgx.ForEachRow(rows, []any{&index, &bytes}, func() error {
		perRow[index] = float64(bytes) / float64(max(1, added.RowsAffected()))
		return nil
	})
	return perRow, err
}

// perRow is what is to be expected in use.
func (s relationSize) perRow() float64 {
	if s.InTimeOrder > 0 || s.Rows == 0 {
		return s.InTimeOrder
	}
	return float64(s.Bytes) / float64(s.Rows)
}

func printSizes(w io.Writer, sizes []relationSize, messages int) {
	const planned, million, giga = 100_000_000, 1e6, 1e9
	fmt.Fprintf(w, "\n**Sizes after the fill**, once vacuumed. It adds deliveries and states in the order of their keys; indexes grow larger where "+
		"rows come in the order of time, as in use: that was tried with up to %s rows. The last column expects that, and %s messages where there "+
		"are %s here. Rows of states are what was marked, not one a message.\n", thousands(orderedRows), thousands(planned), thousands(messages))
	fmt.Fprintf(w, "\n| table | | rows | bytes | MB per million rows | in the order of time | GB at %s messages |\n|---|---|--:|--:|--:|--:|--:|\n",
		thousands(planned))
	var total int64
	var totalPlanned float64
	title := ""
	for _, s := range sizes {
		name := s.Table
		if name == title {
			name = ""
		}
		title = s.Table
		ordered := ""
		if s.InTimeOrder > 0 {
			ordered = fmt.Sprintf("%.1f", s.InTimeOrder)
		}
		bytes := s.perRow() * float64(s.Rows) / float64(messages) * planned
		fmt.Fprintf(w, "| %s | %s | %d | %d | %.1f | %s | %.1f |\n", name, s.Part, s.Rows, s.Bytes,
			megabytes(s.Bytes)*million/float64(max(1, s.Rows)), ordered, bytes/giga)
		total += s.Bytes
		totalPlanned += bytes
	}
	fmt.Fprintf(w, "| all | | | %d | | | %.1f |\n", total, totalPlanned/giga)
}

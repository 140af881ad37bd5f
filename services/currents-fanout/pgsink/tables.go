package pgsink

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// target is a table as it should be.
type target struct {
	name     string
	stranger string // the name it had before its type was in the catalogue; empty where it never had another
	comment  string
	columns  []column
}

// singleTarget is the table of the layout single.
func singleTarget(name string) *target {
	return &target{
		name: name, comment: "Engagement events of Braze, written by Sluice.",
		columns: slices.Concat(engagementColumns, singleColumns),
	}
}

// newTarget is the table of a type in the layout per_type.
func newTarget(prefix, eventType string) *target {
	t := &target{name: tableName(prefix, eventType), comment: "Events " + shortened(eventType) + " of Braze, written by Sluice."}
	if old := strangersName(prefix, eventType); old != t.name {
		t.stranger = old
	}
	t.columns = slices.Concat(engagementColumns, fieldColumns(eventType), perTypeColumns)
	return t
}

func shortened(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// plan finds out how to write into a target; with create it makes what is missing.
func (s *postgres) plan(ctx context.Context, conn *pgxpool.Conn, t *target) (*plan, error) {
	if p := s.known(t); p != nil {
		return p, nil
	}
	select {
	case s.making <- struct{}{}:
		defer func() { <-s.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if p := s.known(t); p != nil { // another lane was first
		return p, nil
	}
	have, err := s.columns(ctx, conn, t)
	if err != nil {
		return nil, err
	}
	if s.options.Create && len(missing(t, have)) > 0 {
		if have, err = s.make(ctx, conn, t); err != nil {
			return nil, err
		}
	}
	if len(have) == 0 {
		return nil, &missingError{fmt.Sprintf("there is no table %s, or it cannot be seen, and create is false", s.table(t.name))}
	}
	p := newPlan(s.table(t.name), t, have)
	for i := range t.columns {
		if c := &t.columns[i]; c.key && !have[c.name] {
			return nil, &missingError{fmt.Sprintf("the table %s has no column %s", p.table, c.name)}
		}
	}
	if lacks := missing(t, have); len(lacks) > 0 {
		s.log.Warn().Str("table", p.table).Strs("columns", lacks).Msg("columns that are not there are not written")
	}
	s.mu.Lock()
	s.plans[t] = p
	s.mu.Unlock()
	return p, nil
}

func (s *postgres) known(t *target) *plan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.plans[t]
}

// forget has a table looked at again, where an error says that it is not as it was.
func (s *postgres) forget(t *target, err error) {
	server, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || !strings.HasPrefix(server.Code, "42") && server.Code != "3F000" {
		return
	}
	s.mu.Lock()
	delete(s.plans, t)
	s.mu.Unlock()
}

func (s *postgres) table(name string) string { return quoted(s.options.Schema, name) }

// columns are the names of the columns that a table has; none where there is no table.
func (s *postgres) columns(ctx context.Context, q querier, t *target) (map[string]bool, error) {
	rows, err := q.Query(ctx, "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped AND attgenerated = ''", s.table(t.name))
	if err != nil {
		return nil, fmt.Errorf("reading the columns of %s: %w", s.table(t.name), err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading the columns of %s: %w", s.table(t.name), err)
	}
	have := make(map[string]bool, len(names))
	for _, name := range names {
		have[name] = true
	}
	return have, nil
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

func missing(t *target, have map[string]bool) (names []string) {
	for i := range t.columns {
		if !have[t.columns[i].name] {
			names = append(names, t.columns[i].name)
		}
	}
	return names
}

// make brings a table up to what it should be: it makes it, or adds columns. Nothing is ever dropped or retyped. An
// advisory lock has one process at a time do so in a schema; the others find it done.
func (s *postgres) make(ctx context.Context, conn *pgxpool.Conn, t *target) (have map[string]bool, err error) {
	table := s.table(t.name)
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		run := func(sql string) error {
			_, err := tx.Exec(ctx, sql)
			return err
		}
		// Adding a column waits until the table's readers are done, and those who come after wait behind it; so it gives
		// up soon, and tries again with the batch.
		if err := run(fmt.Sprintf("SET LOCAL lock_timeout = %d", s.options.LockTimeout.Milliseconds())); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", s.lockKey()); err != nil {
			return err
		}
		if have, err = s.columns(ctx, tx, t); err != nil {
			return err
		}
		if len(have) == 0 {
			if have, err = s.appear(ctx, tx, t); err != nil {
				return err
			}
		}
		if len(have) == 0 {
			if err := s.found(run, t); err != nil {
				return err
			}
		}
		if lacks := missing(t, have); len(have) > 0 && len(lacks) > 0 {
			if err := run("ALTER TABLE " + table + " ADD COLUMN IF NOT EXISTS " + strings.Join(definitions(t, lacks), ", ADD COLUMN IF NOT EXISTS ")); err != nil {
				return err
			}
			s.log.Info().Str("table", table).Strs("columns", lacks).Msg("added columns")
		}
		have, err = s.columns(ctx, tx, t)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("making the table %s: %w", table, err)
	}
	return have, nil
}

// appear gives a table its proper name that it could not have while its type was not in the catalogue, and makes
// the schema where it is not there. It returns the table's columns.
func (s *postgres) appear(ctx context.Context, tx pgx.Tx, t *target) (have map[string]bool, err error) {
	var there bool
	if err := tx.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", s.options.Schema).Scan(&there); err != nil {
		return nil, err
	}
	if !there { // asked first: IF NOT EXISTS alone demands the right to make one
		if _, err := tx.Exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+quoted(s.options.Schema)); err != nil {
			return nil, err
		}
	}
	if t.stranger == "" {
		return nil, nil
	}
	if _, err := tx.Exec(ctx, "ALTER TABLE IF EXISTS "+s.table(t.stranger)+" RENAME TO "+quoted(t.name)); err != nil {
		return nil, err
	}
	return s.columns(ctx, tx, t)
}

// found makes a table with its indexes.
func (s *postgres) found(run func(sql string) error, t *target) error {
	table := s.table(t.name)
	var key []column
	for _, c := range t.columns {
		if c.key {
			key = append(key, c)
		}
	}
	err := run("CREATE TABLE " + table + " (" + strings.Join(definitions(t, nil), ", ") + ", PRIMARY KEY (" + list(key) + "))")
	for _, sql := range []string{
		"CREATE INDEX ON " + table + " (occurred_at)",
		"CREATE INDEX ON " + table + " (user_id)",
		"COMMENT ON TABLE " + table + " IS " + literal(t.comment),
	} {
		if err == nil {
			err = run(sql)
		}
	}
	if err == nil {
		s.log.Info().Str("table", table).Msg("made a table")
	}
	return err
}

// definitions are a target's columns as SQL, those of these names or all.
func definitions(t *target, names []string) []string {
	var all []string
	for i := range t.columns {
		c := &t.columns[i]
		if names != nil && !slices.Contains(names, c.name) {
			continue
		}
		all = append(all, quoted(c.name)+" "+sqlTypes[c.kind])
	}
	return all
}

// lockKey is the advisory lock of whoever makes tables in the schema.
func (s *postgres) lockKey() int64 {
	sum := sha256.Sum256([]byte("sluice pgsink " + s.options.Schema))
	return int64(binary.BigEndian.Uint64(sum[:]))
}

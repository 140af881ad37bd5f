package pgsink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// begin opens a batch's transaction. Kafka's offset is committed after it, so that the server must have it on disk then,
// even where its owner lets others run ahead. What is set is set for the transaction: the next may be another server's.
const begin = `BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
SET LOCAL statement_timeout = %d;
SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off';
`

// store puts the groups into their tables. It returns how many events it had to store: those refused here are not among
// them.
func (s *postgres) store(ctx context.Context, batch []*sink.Event, groups []*group, refused map[int]outcome.Outcome) (taken int, err error) {
	taken = len(batch) - len(refused)
	if taken == 0 {
		return 0, nil
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return taken, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Release() // which closes it where a transaction is left open

	for _, g := range groups {
		if g.plan, err = s.plan(ctx, conn, g.target); err != nil {
			return taken, &makingError{err}
		}
	}
	taken = 0
	for _, g := range groups {
		g.events = slices.DeleteFunc(g.events, func(i int) bool {
			lacks := g.plan.nameless(batch[i])
			if lacks != "" {
				refused[i] = outcome.Outcome{Kind: outcome.Refused, Reason: "bad_id", Detail: lacks}
			}
			return lacks != ""
		})
		taken += len(g.events)
	}
	if taken == 0 {
		return 0, nil
	}
	pg := conn.Conn().PgConn()
	inserted, repairs, err := s.transact(ctx, pg, batch, groups)
	if err != nil {
		s.rollBack(ctx, pg)
		return taken, err
	}
	s.rows.WithLabelValues("inserted").Add(float64(inserted))
	s.rows.WithLabelValues("there").Add(float64(int64(taken) - inserted))
	s.mended.Add(float64(repairs))
	return taken, nil
}

// transact is a batch's transaction: three exchanges with the server where all goes into one table.
func (s *postgres) transact(ctx context.Context, pg *pgconn.PgConn, batch []*sink.Event, groups []*group) (inserted int64, repairs int, err error) {
	var open, insert strings.Builder
	fmt.Fprintf(&open, begin, s.options.StatementTimeout.Milliseconds())
	for _, g := range groups {
		if len(g.events) > 0 {
			open.WriteString(g.plan.stage + ";\n")
			insert.WriteString(g.plan.insert + ";\n")
		}
	}
	insert.WriteString("COMMIT")

	if _, err := pg.Exec(ctx, open.String()).ReadAll(); err != nil {
		return 0, 0, &beginError{err}
	}
	r := s.scratch.Get().(*row)
	defer s.scratch.Put(r)
	for _, g := range groups {
		if len(g.events) == 0 {
			continue
		}
		rows := r.stream(g.plan, batch, g.events)
		_, err := pg.CopyFrom(ctx, rows, g.plan.copy)
		rows.stop()
		if err != nil {
			return 0, 0, fmt.Errorf("copying %d rows for %s: %w", len(g.events), g.plan.table, err)
		}
		repairs += rows.repairs
	}
	results, err := pg.Exec(ctx, insert.String()).ReadAll()
	if err != nil {
		return 0, 0, fmt.Errorf("inserting: %w", err)
	}
	for _, r := range results {
		if r.CommandTag.Insert() {
			inserted += r.CommandTag.RowsAffected()
		}
	}
	if last := results[len(results)-1].CommandTag.String(); last != "COMMIT" {
		return 0, 0, fmt.Errorf("committing: the server answered %q", last)
	}
	return inserted, repairs, nil
}

// rollBack makes a connection usable again after an error; where it cannot, the pool closes it.
func (s *postgres) rollBack(ctx context.Context, pg *pgconn.PgConn) {
	if pg.IsClosed() || pg.TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, err := pg.Exec(ctx, "ROLLBACK").ReadAll(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		s.log.Debug().Err(err).Msg("rolling back")
	}
}

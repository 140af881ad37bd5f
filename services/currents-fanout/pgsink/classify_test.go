package pgsink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func TestWhatAnErrorMeans(t *testing.T) {
	state := func(code string) error {
		return fmt.Errorf("inserting: %w", &pgconn.PgError{Code: code, Message: "m"})
	}
	const (
		deferred = "deferred"
		halts    = "halts"
		splits   = "splits"
		refused  = "refused"
	)
	for _, c := range []struct {
		err    error
		n      int
		given  bool
		want   string
		reason string
	}{
		{err: state("08006"), want: deferred, reason: "unreachable"},
		{err: state("57P01"), want: deferred, reason: "unreachable"},
		{err: state("57P03"), want: deferred, reason: "unreachable"},
		{err: state("57014"), want: deferred, reason: "timeout"},
		{err: state("53100"), want: deferred, reason: "disk_full"},
		{err: state("53200"), want: deferred, reason: "overloaded"},
		{err: state("53300"), want: deferred, reason: "overloaded"},
		{err: state("40001"), want: deferred, reason: "conflict"},
		{err: state("40P01"), want: deferred, reason: "conflict"},
		{err: state("55P03"), want: deferred, reason: "locked"},
		{err: state("25006"), want: deferred, reason: "read_only"},
		{err: state("58030"), want: deferred, reason: "server_error"},
		{err: state("XX000"), want: deferred, reason: "server_error"},
		{err: state(""), want: deferred, reason: "server_error"},
		{err: state("42P07"), want: deferred, reason: "table_changed"},
		{err: state("42P01"), want: deferred, reason: "table_changed"},
		{err: state("42703"), want: deferred, reason: "table_changed"},
		{err: state("42P01"), given: true, want: halts, reason: "tables"},
		{err: state("42703"), given: true, want: halts, reason: "tables"},
		{err: state("3F000"), given: true, want: halts, reason: "tables"},
		{err: state("42804"), want: halts, reason: "tables"},
		{err: state("42P10"), want: halts, reason: "tables"},
		{err: state("0A000"), want: halts, reason: "tables"},
		{err: state("28P01"), want: halts, reason: "credentials"},
		{err: state("28000"), want: halts, reason: "credentials"},
		{err: state("42501"), want: halts, reason: "permission"},
		{err: state("3D000"), want: halts, reason: "no_database"},
		{err: &missingError{"no table"}, want: halts, reason: "tables"},
		{err: state("22P02"), n: 2, want: splits, reason: "bad_row"},
		{err: state("22P02"), n: 1, want: refused, reason: "bad_row"},
		{err: state("23514"), n: 2, want: splits, reason: "bad_row"},
		{err: state("23514"), n: 1, want: refused, reason: "bad_row"},
		{err: state("54000"), n: 1, want: refused, reason: "bad_row"},
		{err: state("P0001"), n: 1, want: refused, reason: "bad_row"},
		{err: state("23505"), n: 1, want: refused, reason: "bad_row"},
		{err: &makingError{state("23505")}, n: 1, want: deferred, reason: "table_changed"},
		{err: &makingError{state("54011")}, n: 1, want: halts, reason: "tables"},
		{err: &makingError{state("55P03")}, n: 1, want: deferred, reason: "locked"},
		{err: context.DeadlineExceeded, want: deferred, reason: "timeout"},
		{err: fmt.Errorf("copying: %w", context.Canceled), want: deferred, reason: "stopped"},
		{err: io.ErrUnexpectedEOF, want: deferred, reason: "unreachable"},
		{err: errors.New("anything else"), want: deferred, reason: "unreachable"},
	} {
		a := classify(c.err, max(c.n, 1), !c.given)
		got := a.All.Kind.String()
		switch {
		case a.Halt:
			got = halts
		case a.Split:
			got = splits
		}
		if got != c.want || a.All.Reason != c.reason || (a.Halt || a.Split) && a.All.Kind != outcome.Deferred {
			t.Errorf("%v of %d events: %s %s, want %s %s", c.err, c.n, got, a.All.Reason, c.want, c.reason)
		}
	}
}

func TestTheServersWordsAreShownWithoutValues(t *testing.T) {
	for _, c := range []struct {
		err  pgconn.PgError
		want string
	}{
		{pgconn.PgError{Code: "22P02", Message: `invalid input syntax for type bigint: "ada@example.com"`, Where: `COPY sluice_1, line 3, column price: "ada@example.com"`}, "invalid input syntax for type bigint (column price) (SQLSTATE 22P02)"},
		{pgconn.PgError{Code: "23502", Message: "null value", ColumnName: "team", Detail: "Failing row contains (ada)."}, "null value (column team) (SQLSTATE 23502)"},
		{pgconn.PgError{Code: "23514", Message: "check", ConstraintName: "c"}, "check (constraint c) (SQLSTATE 23514)"},
	} {
		if got := words(&c.err); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

func TestEachEventHasItsOutcome(t *testing.T) {
	refused := map[int]outcome.Outcome{1: {Kind: outcome.Refused, Reason: "bad_id"}}
	for _, c := range []struct {
		name    string
		rest    sink.Answer
		refused map[int]outcome.Outcome
		want    sink.Answer
	}{
		{"all are delivered", sink.Delivered(), nil, sink.Delivered()},
		{"one was refused here", sink.Delivered(), refused, sink.Answer{Each: []outcome.Outcome{{Kind: outcome.Delivered}, refused[1]}}},
		{"the other by the server", sink.Refused("bad_row", "d"), refused, sink.Answer{Each: []outcome.Outcome{{Kind: outcome.Refused, Reason: "bad_row", Detail: "d"}, refused[1]}}},
		{"what is deferred is so for all", sink.Deferred("locked", "d", 0), refused, sink.Deferred("locked", "d", 0)},
	} {
		if diff := cmp.Diff(c.want, compose(c.rest, 2, c.refused)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

package pgsink

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// missingError says that a table or column that must be there is not, and may not be made.
type missingError struct{ what string }

func (e *missingError) Error() string { return e.what }

// makingError is an error of looking at tables and making them, for which no event is to blame.
type makingError struct{ err error }

func (e *makingError) Error() string { return e.err.Error() }
func (e *makingError) Unwrap() error { return e.err }

// beginError is an error of beginning a transaction, with which nothing of the tables has to do.
type beginError struct{ err error }

func (e *beginError) Error() string { return "beginning: " + e.err.Error() }
func (e *beginError) Unwrap() error { return e.err }

// classify says what an error means for a batch of n events. With create what is missing is made the next time, without
// it a person has to.
//
// The classes are PostgreSQL's, see postgresql-docs, errcodes-appendix. What is not listed is deferred: an error that
// nobody thought of must not cost an event.
func classify(err error, n int, create bool) sink.Answer {
	var server *pgconn.PgError
	var missing *missingError
	switch {
	case errors.As(err, &missing):
		return halt("tables", missing.what)
	case errors.As(err, &server):
	case errors.Is(err, context.DeadlineExceeded), pgconn.Timeout(err):
		return sink.Deferred("timeout", "no answer in time", 0)
	case errors.Is(err, context.Canceled):
		return sink.Deferred("stopped", "the batch was given up", 0)
	default:
		return sink.Deferred("unreachable", plain(err), 0)
	}

	code, detail := server.Code, words(server)
	switch code {
	case "57014": // query_canceled, by the timeout or an operator
		return sink.Deferred("timeout", detail, 0)
	case "25006": // read_only_sql_transaction: a standby, until somebody promotes it
		return sink.Deferred("read_only", detail, 0)
	case "0A000": // feature_not_supported: how a standby refuses a transaction that is to write
		if _, beginning := errors.AsType[*beginError](err); beginning {
			return sink.Deferred("read_only", detail, 0)
		}
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return sink.Deferred("conflict", detail, 0)
	case "55P03", "55006": // lock_not_available, object_in_use
		return sink.Deferred("locked", detail, 0)
	case "53100": // disk_full
		return sink.Deferred("disk_full", detail, 0)
	case "42501": // insufficient_privilege
		return halt("permission", detail)
	case "3D000": // invalid_catalog_name
		return halt("no_database", detail)
	case "42P01", "42703", "3F000": // undefined_table, undefined_column, invalid_schema_name
		if create {
			return sink.Deferred("table_changed", detail, 0)
		}
		return halt("tables", detail)
	case "42P06", "42P07", "42701", "42710": // something exists already: somebody else was making it
		return sink.Deferred("table_changed", detail, 0)
	case "23505": // unique_violation: of PostgreSQL's own catalogue in the same case, else of an index that we do not know
		if _, making := errors.AsType[*makingError](err); making {
			return sink.Deferred("table_changed", detail, 0)
		}
	case "42P10": // invalid_column_reference: no unique index on the id
		return halt("tables", detail+"; event_id must be unique, by a constraint or an index, and in actions together with action_name")
	}
	switch code[:min(2, len(code))] {
	case "28": // invalid authorization
		return halt("credentials", detail)
	case "42", "0A": // syntax or access rule, feature not supported: the table is not what it should be
		return halt("tables", detail)
	case "22", "23", "44", "54", "P0": // data, integrity, check option, a limit, an exception of somebody's trigger
		if _, making := errors.AsType[*makingError](err); making {
			return halt("tables", detail) // too many columns, or a trigger that forbids it
		}
		if n > 1 {
			a := sink.Deferred("bad_row", detail, 0)
			a.Split = true
			return a
		}
		return sink.Refused("bad_row", detail)
	case "53": // insufficient resources
		return sink.Deferred("overloaded", detail, 0)
	case "08", "57": // connection, operator intervention
		return sink.Deferred("unreachable", detail, 0)
	}
	return sink.Deferred("server_error", detail, 0)
}

func halt(reason, detail string) sink.Answer {
	a := sink.Deferred(reason, detail, 0)
	a.Halt = true
	return a
}

// words are the server's own, without the values that it may quote, which are somebody's data.
func words(e *pgconn.PgError) string {
	message, _, _ := strings.Cut(e.Message, `: "`)
	where := ""
	switch {
	case e.ColumnName != "":
		where = " (column " + e.ColumnName + ")"
	case e.ConstraintName != "":
		where = " (constraint " + e.ConstraintName + ")"
	case strings.HasPrefix(e.Where, "COPY "): // COPY stage, line 3, column event
		if _, column, ok := strings.Cut(e.Where, ", column "); ok {
			column, _, _ = strings.Cut(column, ":")
			where = " (column " + column + ")"
		}
	}
	return fmt.Sprintf("%s%s (SQLSTATE %s)", message, where, e.Code)
}

// plain are the words of an error of the network, without the connection string that some begin with.
func plain(err error) string {
	var connecting *pgconn.ConnectError
	if errors.As(err, &connecting) {
		if inner := errors.Unwrap(connecting); inner != nil {
			return inner.Error()
		}
	}
	return err.Error()
}

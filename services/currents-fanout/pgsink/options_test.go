package pgsink

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
)

func TestOptionsAreCheckedAllAtOnce(t *testing.T) {
	const dsn = "postgres://u:s3cr3t@h/d"
	for _, c := range []struct {
		name string
		o    Options
		want []string // the fields at fault
	}{
		{"a connection string is enough", Options{DSN: dsn}, nil},
		{"in libpq's other form", Options{DSN: "host=h user=u password=s3cr3t"}, nil},
		{"and it is needed", Options{}, []string{"dsn"}},
		{"it must be one", Options{DSN: "postgres://u:s3cr3t@h:port/d"}, []string{"dsn"}},
		{"names fit PostgreSQL", Options{DSN: dsn, Schema: strings.Repeat("s", 64), Table: "a\x00b", Actions: "\xff", Prefix: strings.Repeat("p", 21)}, []string{"actions_table", "schema", "table", "table_prefix"}},
		{"tables differ", Options{DSN: dsn, Table: "t", Actions: "t"}, []string{"actions_table"}},
		{"from those of types too", Options{DSN: dsn, Layout: PerType, Prefix: "x_", Actions: "x_users_messages_email_click"}, []string{"actions_table"}},
		{"a layout is one of two", Options{DSN: dsn, Layout: "wide"}, []string{"layout"}},
		{"limits have limits", Options{DSN: dsn, StatementTimeout: time.Millisecond, LockTimeout: time.Hour, Connections: -1}, []string{"connections", "lock_timeout", "statement_timeout"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.o.Validate()
			var got []string
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				for _, err := range joined.Unwrap() {
					p, ok := errors.AsType[config.Problem](err)
					if !ok {
						t.Fatalf("not a problem: %v", err)
					}
					got = append(got, p.Field)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("fields at fault (-want +got):\n%s", diff)
			}
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("the password is in %q", err)
			}
		})
	}
}

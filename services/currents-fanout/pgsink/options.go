package pgsink

import (
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicehq/sluice/pkg/config"
)

// The two layouts.
const (
	Single  = "single"   // all engagements in one table, each as a jsonb beside the columns that all have
	PerType = "per_type" // a table for each type of event, with a column for each field that is known of it
)

// Options are what stands under "postgres" in sinks.yaml.
type Options struct {
	DSN    config.Secret `yaml:"dsn" required:"true" doc:"connection string: postgres://user:password@host:5432/database?sslmode=verify-full"`
	Schema string        `yaml:"schema" default:"braze" doc:"schema of the tables"`
	Layout string        `yaml:"layout" default:"single" oneof:"single per_type" doc:"single: one table of engagements; per_type: one for each type of event"`

	Table   string `yaml:"table" default:"engagements" doc:"name of the table of engagements in the layout single"`
	Prefix  string `yaml:"table_prefix" max:"20" doc:"stands before the name of every table in the layout per_type"`
	Actions string `yaml:"actions_table" default:"actions" doc:"name of the table of braze.actions"`
	Create  bool   `yaml:"create" default:"true" doc:"make schema, tables and columns that are missing; false: write only what is there"`

	StatementTimeout time.Duration `yaml:"statement_timeout" default:"1m" min:"1s" max:"1h" doc:"how long one statement may take"`
	LockTimeout      time.Duration `yaml:"lock_timeout" default:"3s" min:"10ms" max:"1m" doc:"how long adding a column may wait for readers of the table, who wait behind it"`
	Connections      int           `yaml:"connections" default:"4" min:"1" max:"100" doc:"most connections at the same time; as many as concurrency is enough"`
}

// filled has the defaults in place of zero values, Create excepted, for callers without a sinks.yaml.
func (o Options) filled() Options {
	set := func(s *string, value string) {
		if *s == "" {
			*s = value
		}
	}
	set(&o.Schema, "braze")
	set(&o.Layout, Single)
	set(&o.Table, "engagements")
	set(&o.Actions, "actions")
	if o.StatementTimeout == 0 {
		o.StatementTimeout = time.Minute
	}
	if o.LockTimeout == 0 {
		o.LockTimeout = 3 * time.Second
	}
	if o.Connections == 0 {
		o.Connections = 4
	}
	return o
}

// Validate checks what needs no server.
func (o *Options) Validate() error {
	f := o.filled()
	var problems []error
	wrong := func(field string, value any, allowed string) {
		problems = append(problems, config.Problem{Field: field, Value: value, Allowed: allowed})
	}
	if f.DSN == "" {
		wrong("dsn", nil, "it is needed: "+dsnForm)
	} else if _, err := pgxpool.ParseConfig(f.DSN.Reveal()); err != nil {
		// Not the error's own words: they quote what they stumbled over, which may be part of the password.
		wrong("dsn", f.DSN, dsnForm)
	}
	if f.Layout != Single && f.Layout != PerType {
		wrong("layout", f.Layout, "one of "+Single+", "+PerType)
	}
	for _, n := range []struct{ field, value string }{{"schema", f.Schema}, {"table", f.Table}, {"actions_table", f.Actions}} {
		if len(n.value) > maxName || !utf8.ValidString(n.value) || strings.ContainsRune(n.value, 0) {
			wrong(n.field, n.value, "a name of at most 63 bytes")
		}
	}
	if len(f.Prefix) > maxPrefix || !utf8.ValidString(f.Prefix) || strings.ContainsRune(f.Prefix, 0) {
		wrong("table_prefix", f.Prefix, "at most 20 bytes")
	}
	if f.Layout == Single && f.Table == f.Actions {
		wrong("actions_table", f.Actions, "another name than table: their columns differ")
	}
	if f.Layout == PerType && isTypeTable(f.Prefix, f.Actions) {
		wrong("actions_table", f.Actions, "a name that no type of event has")
	}
	if f.StatementTimeout < time.Second || f.StatementTimeout > time.Hour {
		wrong("statement_timeout", f.StatementTimeout, "from 1s to 1h")
	}
	if f.LockTimeout < 10*time.Millisecond || f.LockTimeout > time.Minute {
		wrong("lock_timeout", f.LockTimeout, "from 10ms to 1m")
	}
	if f.Connections < 1 || f.Connections > 100 {
		wrong("connections", f.Connections, "from 1 to 100")
	}
	return errors.Join(problems...)
}

const dsnForm = "a connection string of PostgreSQL, such as postgres://user:password@host:5432/database?sslmode=verify-full"

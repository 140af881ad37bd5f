package pgsink

import (
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/sluicehq/sluice/pkg/pgtest"
)

// While a failover lasts, what answers may be a server that is not promoted yet: nobody has to mend anything.
func TestAStandbyIsWaitedFor(t *testing.T) {
	t.Parallel()
	server := pgtest.StartFor(t)
	s := openSink(t, server.DSN())
	if a := s.Write(t.Context(), sampled(t, 2, click)); !a.All.Kind.Final() {
		t.Fatal(a)
	}
	address, err := url.Parse(server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(address.Query().Get("host"), "data", "standby.signal")
	if err := os.WriteFile(mark, nil, 0o644); err != nil { //nolint:gosec // the server's account has to read it
		t.Fatal(err)
	}
	if err := server.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := s.Write(t.Context(), sampled(t, 2, click))
	for a.All.Reason == "unreachable" { // over a connection of before
		a = s.Write(t.Context(), sampled(t, 2, click))
	}
	if a.All.Reason != "read_only" || a.Halt || a.Split {
		t.Errorf("a standby's answer is %+v", a)
	}
}

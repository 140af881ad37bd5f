package daemon

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// byHand is a Process without a server, as tests of services make it.
func byHand(log *bytes.Buffer) *Process {
	return &Process{
		Name: "test", Log: zerolog.New(zerolog.SyncWriter(log)), Metrics: prometheus.NewRegistry(),
		Health: &Health{}, DrainTimeout: 25 * time.Second,
	}
}

func TestRunIsReadyOnlyWhileTheServiceWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := byHand(&bytes.Buffer{})
		ctx, stop := context.WithCancel(t.Context())
		err := make(chan error)
		go func() {
			err <- Run(ctx, p, runFunc(func(ctx context.Context) error {
				<-ctx.Done()
				<-time.After(24 * time.Second) // it has much to finish
				return nil
			}))
		}()
		synctest.Wait()
		if got := failing(t, p.Health); len(got) > 0 {
			t.Errorf("working, it fails %v", got)
		}
		stop()
		synctest.Wait()
		if got := failing(t, p.Health); got["process"] != "draining" {
			t.Errorf("draining, it fails %v", got)
		}
		if err := <-err; err != nil {
			t.Error(err)
		}
		if got := failing(t, p.Health); got["process"] != "stopped" {
			t.Errorf("stopped, it fails %v", got)
		}
	})
}

func TestRunGivesUpOnAServiceThatDrainsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		stop()
		release := make(chan struct{})
		began := time.Now()
		var late *DrainError
		err := Run(ctx, byHand(&bytes.Buffer{}), runFunc(func(context.Context) error { <-release; return nil }))
		if !errors.As(err, &late) || late.After != 25*time.Second || time.Since(began) != 25*time.Second {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		close(release)
	})
}

func TestTheFirstOfAGroupToStopStopsAll(t *testing.T) {
	away := errors.New("the log is away")
	for _, tc := range []struct {
		name  string
		first error // what the first to stop returns
		then  error // what the other returns when told
		want  string
	}{
		{name: "because it is done"},
		{name: "because it failed", first: away, want: "running test: first: the log is away"},
		{name: "and being told to stop is no failure", then: context.Canceled},
		{name: "and both failures are told", first: away, then: errors.New("and so am I"), want: "running test: first: the log is away\nsecond: and so am I"},
		{name: "a cancellation of its own making is a failure", first: context.Canceled, want: "running test: first: context canceled"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var log bytes.Buffer
			p := byHand(&log)
			var g Group
			g.Add(p.Named("first"), runFunc(func(context.Context) error { return tc.first }))
			g.Add(p.Named("second"), runFunc(func(ctx context.Context) error { <-ctx.Done(); return tc.then }))
			err := Run(t.Context(), p, &g)
			if got := errorText(err); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if !strings.Contains(log.String(), `"component":"first"`) {
				t.Errorf("the log does not say who stopped first:\n%s", log.String())
			}
		})
	}
}

func TestAGroupSaysWhoHoldsWhat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := byHand(&bytes.Buffer{})
		release := make(chan struct{})
		var g Group
		g.Add(p.Named("ingest"), runFunc(func(ctx context.Context) error { <-ctx.Done(); return nil }))
		g.Add(p.Named("sender"), holding{release, "3 records"})
		g.Add(p.Named("sync"), runFunc(func(context.Context) error { <-release; return nil }))
		ctx, stop := context.WithCancel(t.Context())
		stop()
		err := Run(ctx, p, &g)
		if want := "draining took longer than 25s; still held: sender: 3 records; sync: still runs"; errorText(err) != want {
			t.Errorf("got %q", errorText(err))
		}
		close(release)
	})
}

// holding stops when released, and holds something until then.
type holding struct {
	release chan struct{}
	what    string
}

func (h holding) Run(context.Context) error { <-h.release; return nil }
func (h holding) Held() string              { return h.what }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

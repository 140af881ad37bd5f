package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func failing(t *testing.T, h *Health) map[string]string {
	t.Helper()
	got := map[string]string{}
	for name, err := range h.Failing(t.Context()) {
		got[name] = err.Error()
	}
	return got
}

func TestHealthNamesWhatFails(t *testing.T) {
	var h Health
	if diff := cmp.Diff(map[string]string{}, failing(t, &h)); diff != "" {
		t.Error(diff)
	}
	h.Set("kafka", errors.New("no broker"))
	h.Set("registry", errors.New("401"))
	h.Register("disk", func(context.Context) error { return errors.New("full") })
	h.named("ingest").Set("kafka", errors.New("another's"))
	h.Set("registry", nil)
	want := map[string]string{"kafka": "no broker", "disk": "full", "ingest/kafka": "another's"}
	if diff := cmp.Diff(want, failing(t, &h)); diff != "" {
		t.Error(diff)
	}
}

func TestHealthDoesNotWaitForACheckThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h Health
		release := make(chan struct{})
		h.Register("deaf", func(context.Context) error { <-release; return nil })
		h.Register("obedient", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		h.Set("fine", nil)
		began := time.Now()
		got := failing(t, &h)
		if took := time.Since(began); took != checkTimeout {
			t.Errorf("it took %s", took)
		}
		if got["deaf"] != errNoAnswer.Error() || got["obedient"] == "" || len(got) != 2 {
			t.Errorf("failing: %v", got)
		}
		close(release)
	})
}

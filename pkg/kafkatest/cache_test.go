package kafkatest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCachedFillsOnceForAllWhoWant(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jars", "1.0")
	var fills atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			err := cached(t.Context(), path, func(tmp string) (string, error) {
				fills.Add(1)
				made := filepath.Join(tmp, "made")
				return made, os.WriteFile(made, []byte("jar"), 0o600)
			})
			if err != nil {
				t.Error(err)
			}
			if b, err := os.ReadFile(path); string(b) != "jar" {
				t.Errorf("cached %q, %v", b, err)
			}
		})
	}
	all.Wait()
	if n := fills.Load(); n != 1 {
		t.Errorf("filled %d times", n)
	}
}

func TestCachedNeverShowsHalfAnItem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.0")
	broken := errors.New("the network went away")
	err := cached(t.Context(), path, func(tmp string) (string, error) {
		return tmp, errors.Join(broken, os.WriteFile(filepath.Join(tmp, "half.jar"), nil, 0o600))
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if exists(path) {
		t.Error("a download that broke is in the cache")
	}
	if left, _ := filepath.Glob(path + ".tmp-*"); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCachedRemovesWhatADeadProcessLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.0")
	left := path + ".tmp-123"
	if err := os.Mkdir(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := cached(t.Context(), path, func(tmp string) (string, error) { return tmp, nil }); err != nil {
		t.Fatal(err)
	}
	if exists(left) {
		t.Errorf("%s is still there", left)
	}
}

func TestCachedWaitsForAnotherOnlyAsLongAsItsContext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.0")
	unlock, err := lockFile(t.Context(), path+".lock")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := cached(ctx, path, func(tmp string) (string, error) { return tmp, nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestPollAsksOncePerInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, asked := time.Now(), 0
		err := poll(t.Context(), 50*time.Millisecond, func(context.Context) error {
			if asked++; asked < 5 {
				return errors.New("not yet")
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took != 200*time.Millisecond {
			t.Errorf("five answers took %v", took)
		}
	})
}

func TestPollTellsWhyItGaveUpAndWhatItLastHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late, notYet := errors.New("not ready after 1m30s"), errors.New("not yet")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 90*time.Second, late)
		defer cancel()
		err := poll(ctx, 50*time.Millisecond, func(context.Context) error { return notYet })
		if !errors.Is(err, late) || !errors.Is(err, notYet) {
			t.Errorf("error %v", err)
		}
	})
}

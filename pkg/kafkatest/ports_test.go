package kafkatest

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"testing"
)

func TestFreePortsAreDifferentAndBelowTheSystemsOwn(t *testing.T) {
	ports, err := freePorts(t.Context(), 50)
	if err != nil {
		t.Fatal(err)
	}
	if len(ports) != 50 || slices.Min(ports) < firstPort || slices.Max(ports) > lastPort {
		t.Errorf("ports %v", ports)
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 50 {
		t.Error("one port was given twice")
	}
}

func TestAPortThatWasTakenMeanwhileIsNoFailure(t *testing.T) {
	t.Parallel()
	t.Run("of the broker", func(t *testing.T) {
		t.Parallel()
		find, tries := firstTaken(t)
		c, err := Start(t.Context(), Config{findPorts: find})
		wantSecondTry(t, err, tries)
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("of the registry", func(t *testing.T) {
		t.Parallel()
		find, tries := firstTaken(t)
		r, err := StartRegistry(t.Context(), RegistryConfig{findPorts: find})
		wantSecondTry(t, err, tries)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

// firstTaken finds ports of which the first, the first time, has a listener.
func firstTaken(t *testing.T) (find func(context.Context, int) ([]int, error), tries *int) {
	t.Helper()
	tries = new(int)
	return func(ctx context.Context, n int) ([]int, error) {
		ports, err := freePorts(ctx, n)
		if *tries++; *tries > 1 || err != nil {
			return ports, err
		}
		var listen net.ListenConfig
		l, err := listen.Listen(ctx, "tcp", addr(ports[0]))
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
		}
		return ports, err
	}, tries
}

func wantSecondTry(t *testing.T, err error, tries *int) {
	t.Helper()
	if _, lacking := errors.AsType[*UnavailableError](err); lacking && os.Getenv("CI") != "true" {
		t.Skip("NOT RUN, NEEDS A REAL KAFKA: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if *tries != 2 {
		t.Errorf("ports were looked for %d times", *tries)
	}
}

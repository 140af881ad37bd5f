package brazefake

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"
)

// mishap is what goes wrong with a request. The zero mishap is none.
type mishap struct {
	status int  // the answer's, where there is one
	drop   bool // the connection is closed instead of an answer
	after  bool // the request was applied
}

// happened reports whether anything goes wrong at all.
func (m mishap) happened() bool { return m.status != 0 || m.drop }

// String names a mishap as it stands in the log.
func (m mishap) String() string {
	when := "before applying"
	if m.after {
		when = "after applying"
	}
	switch {
	case m.drop:
		return "dropped " + when
	case m.status != 0:
		return fmt.Sprintf("%d %s", m.status, when)
	}
	return ""
}

// throwBefore decides what goes wrong before a request is applied.
func (k *Knobs) throwBefore(dice *rand.Rand) mishap {
	switch {
	case chance(dice, k.PDropBefore):
		return mishap{drop: true}
	case chance(dice, k.P5xxBefore):
		return mishap{status: serverFault(dice)}
	}
	return mishap{}
}

// throwAfter decides what goes wrong once it is applied.
func (k *Knobs) throwAfter(dice *rand.Rand) mishap {
	switch {
	case chance(dice, k.PDropAfter):
		return mishap{drop: true, after: true}
	case chance(dice, k.P5xxAfter):
		return mishap{status: serverFault(dice), after: true}
	}
	return mishap{}
}

func chance(dice *rand.Rand, p float64) bool { return p > 0 && dice.Float64() < p }

func serverFault(dice *rand.Rand) int {
	return []int{
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}[dice.IntN(4)]
}

// between draws a duration; a longest below the shortest counts as the same.
func between(dice *rand.Rand, shortest, longest time.Duration) time.Duration {
	if longest <= shortest {
		return shortest
	}
	return shortest + time.Duration(dice.Int64N(int64(longest-shortest)+1))
}

// wait passes the time, or returns early when the client has gone.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
		return
	}
	// HTTP/2 cannot be hijacked; the server understands this.
	panic(http.ErrAbortHandler)
}

package daemon

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Health is a set of named checks that must all pass before a process counts as ready. The zero value
// is ready to use, and passes. Its methods may be called from any goroutine.
type Health struct {
	prefix string
	parent *Health // which keeps the checks, when prefix names a component of it

	mu     sync.Mutex
	checks map[string]Check
}

// Check says what is wrong, or nil. It is asked whenever /readyz is, several at a time, and given a
// second or two.
type Check func(ctx context.Context) error

// checkTimeout is less than the shortest patience of a prober, so that the answer still names the check.
const checkTimeout = 900 * time.Millisecond

// Set records that the check called name fails with err, or, when err is nil, that it passes. It is for
// those who notice by themselves when things change.
func (h *Health) Set(name string, err error) {
	h.Register(name, func(context.Context) error { return err })
}

// Register adds a check that is asked whenever somebody wants to know. It replaces one of that name.
func (h *Health) Register(name string, check Check) {
	if h.parent != nil {
		h.parent.Register(h.prefix+"/"+name, check)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.checks == nil {
		h.checks = map[string]Check{}
	}
	h.checks[name] = check
}

// errNoAnswer is what a check fails with that does not look at its context.
var errNoAnswer = errors.New("no answer within " + checkTimeout.String())

// Failing asks every check, all at once, and returns those that fail; empty means ready.
func (h *Health) Failing(ctx context.Context) map[string]error {
	if h.parent != nil {
		return h.parent.Failing(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	type answer struct {
		name string
		err  error
	}
	h.mu.Lock()
	failing := make(map[string]error, len(h.checks))
	answers := make(chan answer, len(h.checks)) // room for all: who is late finds nobody waiting
	for name, check := range h.checks {
		failing[name] = errNoAnswer
		go func() { answers <- answer{name, check(ctx)} }()
	}
	h.mu.Unlock()
	for range len(failing) {
		select {
		case a := <-answers:
			failing[a.name] = a.err
			if a.err == nil {
				delete(failing, a.name)
			}
		case <-ctx.Done():
			return failing
		}
	}
	return failing
}

// named returns a Health whose checks are kept in h, under names that begin with the component's.
func (h *Health) named(component string) *Health { return &Health{prefix: component, parent: h} }

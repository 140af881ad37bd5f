package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/rs/zerolog"
)

// Group is several services run as one: the first to stop, for whatever reason, stops all.
type Group struct {
	members []*member
}

// member is a service of a group, with whether it still runs.
type member struct {
	name    string
	service Service
	log     *zerolog.Logger

	mu      sync.Mutex
	running bool
}

// Add puts a service into the group, as the component that p names. It must come before Run.
func (g *Group) Add(p *Process, service Service) {
	g.members = append(g.members, &member{name: p.Name, service: service, log: &p.Log})
}

// Run runs every member until one returns, tells the others to stop, and returns when all have. The
// error joins those of all members that failed, each under its name.
func (g *Group) Run(ctx context.Context) error {
	ctx, stopAll := context.WithCancel(ctx)
	defer stopAll()
	errs := make([]error, len(g.members))
	var all sync.WaitGroup
	for i, m := range g.members {
		m.set(true)
		all.Go(func() {
			err := m.service.Run(m.log.WithContext(ctx))
			told := ctx.Err() != nil
			m.set(false)
			if err != nil && !(told && errors.Is(err, context.Canceled)) {
				errs[i] = fmt.Errorf("%s: %w", m.name, err)
			}
			if !told {
				m.log.Info().Err(err).Msg("stopped first, so all stop")
			}
			stopAll()
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Held says of every member that still runs what it holds.
func (g *Group) Held() string {
	var held []string
	for _, m := range g.members {
		if !m.stillRuns() {
			continue
		}
		what := heldBy(m.service)
		if what == "" {
			what = "still runs"
		}
		held = append(held, m.name+": "+what)
	}
	return strings.Join(held, "; ")
}

func (m *member) set(running bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.running = running
}

func (m *member) stillRuns() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running
}

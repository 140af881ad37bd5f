package crmwriteback

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// httpTimeout bounds a request, body and all.
const httpTimeout = time.Minute

func (s *Service) openWriter(ctx context.Context, system System, p *daemon.Process) error {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = max(system.Concurrency, 2)
	opened, err := system.Open(ctx, target.Deps{
		Name: system.Name,
		HTTP: &http.Client{
			Timeout: httpTimeout, Transport: transport,
			// A POST that is redirected becomes a GET, whose 200 would be taken for a delivery.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"target": system.Name}, p.Metrics),
		Log:     p.Log.With().Str("target", system.Name).Logger(),
		Now:     time.Now,
	})
	if err != nil {
		return err
	}
	m, err := s.newMember(system.Name, windowOf(system.Memory, max(opened.Form().Rows, 1)*max(system.Concurrency, 1)))
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	w := newWriter(m, system, opened)
	p.Health.Register("target "+system.Name, func(context.Context) error { return w.halted() })
	s.writers = append(s.writers, w)
	return nil
}

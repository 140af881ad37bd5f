package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// site is a cluster with its registry, as the commands see it that look into every topic.
type site struct {
	*replay.Cluster
	config   pipeline.Config
	registry *registry.Client
}

// withSite connects to the cluster, or says that it is not there. Progress is shown to a person.
func (a *app) withSite(c *cobra.Command, do func(context.Context, *site) error) error {
	cfg, _, err := a.load()
	if err != nil {
		return err
	}
	reg, err := registry.New(cfg.Sender.Registry)
	if err != nil {
		return err
	}
	defer reg.Close()
	kafka := cfg.Sender.Kafka
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		return err
	}
	defer admin.Close()
	ctx, stop := untilInterrupted(c.Context())
	defer stop()
	ping, cancel := context.WithTimeoutCause(ctx, 15*time.Second, errors.New("no answer within 15s"))
	defer cancel()
	if err := admin.Ping(ping); err != nil {
		return fmt.Errorf("reaching Kafka at %s (KAFKA_BROKERS): %w", strings.Join(kafka.Brokers, ","), err)
	}
	m := meter{app: a}
	defer m.clear()
	cluster := &replay.Cluster{Kafka: kafka, Admin: admin, Schemas: avro.FromRegistry(reg), Progress: m.progress()}
	return do(ctx, &site{cluster, cfg, reg})
}

// meter shows how far the reading of a topic has come, in one line over and over.
type meter struct {
	app   *app
	shown time.Time
	drawn bool
}

// meterEvery is how often the line is drawn anew.
const meterEvery = 100 * time.Millisecond

// progress is nil where nobody reads along.
func (m *meter) progress() func(topic string, read, of int64) {
	if !onTerminal(m.app.stderr) {
		return nil
	}
	return func(topic string, read, of int64) {
		now := time.Now()
		switch {
		case read >= of:
			m.clear()
			return
		case now.Sub(m.shown) < meterEvery:
			return
		}
		m.shown, m.drawn = now, true
		_, _ = fmt.Fprintf(m.app.stderr, "\r\x1b[Kreading %s: %d%% of %d records", topic, 100*read/max(of, 1), of)
	}
}

func (m *meter) clear() {
	if m.drawn {
		_, _ = fmt.Fprint(m.app.stderr, "\r\x1b[K")
		m.drawn = false
	}
}

// outcomeColour gives the words that say what became of a record their colours.
func (a *app) outcomeColour(word string) string {
	switch word {
	case "delivered":
		return a.paint(a.stdout, green, word)
	case "refused":
		return a.paint(a.stdout, red, word)
	}
	return word
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

func (a *app) whyMutedCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "why-muted KEY",
		Short: "Say in one line whether a customer's promotions are held back, by which case, and until when",
		Example: `  sluice why-muted cus-48213
  sluice why-muted alias:zendesk:8447388090494 --json`,
		Long: `Reads what attribute-sync knows of the customer, from its topic of state: the partition where the key
belongs. What a case does to a customer, FIELDS_FILE says. Exit code 1 when nothing is known of the
customer.`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withSite(c, func(ctx context.Context, s *site) error { return a.whyMuted(ctx, s, args[0], asJSON) })
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// muting is the answer.
type muting struct {
	Key   string     `json:"key"`
	Known bool       `json:"known"`
	Muted bool       `json:"muted"`
	Until *time.Time `json:"until,omitempty"` // may be past
	Why   string     `json:"why"`
}

func (a *app) whyMuted(ctx context.Context, s *site, key string, asJSON bool) error {
	fields, err := attributesync.LoadFields(s.config.Sync.Sync.FieldsFile)
	if err != nil {
		return err
	}
	customer, err := s.customer(ctx, key)
	if err != nil {
		return err
	}
	m := muting{Key: key, Why: "not muted: nothing is known of " + key}
	if customer != nil {
		now := time.Now()
		until, muted := customer.MutedUntil(fields, now)
		m.Known, m.Muted, m.Why = true, muted, customer.WhyMuted(fields, now)
		if until.UnixMilli() > 0 {
			m.Until = &until
		}
	}
	if asJSON {
		err = a.json(m)
	} else {
		_, err = fmt.Fprintln(a.stdout, m.Why)
	}
	if err == nil && !m.Known {
		return errFindings
	}
	return err
}

// customer reads what attribute-sync knows of a customer; nil when that is nothing.
func (s *site) customer(ctx context.Context, key string) (*attributesync.Customer, error) {
	topic := s.Kafka.Topic(schema.State(attributesync.Name))
	states, err := s.Admin.Topics(ctx, nil, topic)
	if err != nil {
		return nil, err
	}
	if !states[0].Exists {
		return nil, fmt.Errorf("there is no topic %s: attribute-sync has never run here", topic)
	}
	var value []byte
	in := stream.PartitionOf([]byte(key), states[0].Partitions)
	err = s.Read(ctx, stream.Range{Topic: topic, From: map[int32]int64{in: 0}}, func(r *stream.Record) error {
		if string(r.Key) == key {
			value = r.Value
		}
		return nil
	})
	if err != nil || len(value) == 0 {
		return nil, err
	}
	return attributesync.ReadCustomer([]byte(key), value)
}

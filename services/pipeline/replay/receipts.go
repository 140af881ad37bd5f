package replay

import (
	"context"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// SameID is how long before a record another with the same id may have been delivered, so that the
// record is a repeat of it: the contract's DEDUP_WINDOW.
const SameID = 24 * time.Hour

// receiptsSuffix is what the topics end in that say what became of records.
const receiptsSuffix = ".deliveries"

// IsReceipts tells a topic of receipts (without prefix).
func IsReceipts(topic string) bool { return strings.HasSuffix(topic, receiptsSuffix) }

// ReceiptsOf returns the topics of receipts that a service writes; of every service when it is empty.
func ReceiptsOf(service string) []schema.Topic {
	var topics []schema.Topic
	for _, t := range schema.Tables() {
		if IsReceipts(t.Name) && (service == "" || t.WrittenBy == service) {
			topics = append(topics, t)
		}
	}
	return topics
}

// Receipts calls each with every final receipt of these partitions from a moment on: a receipt stands
// in the partition of its record. What cannot be read is left out: to whoever counts receipts it is
// none.
func (c *Cluster) Receipts(ctx context.Context, service string, partitions map[int32]bool, since time.Time, each func(*receipt.Receipt) error) error {
	existing, err := c.Existing(ctx)
	if err != nil {
		return err
	}
	for _, t := range ReceiptsOf(service) {
		// crm.deliveries has another record; nothing that it says is about Braze.
		if t.RecordType != schema.BrazeDeliveries || existing[c.Kafka.Topic(t.Name)] == 0 {
			continue
		}
		err := c.Read(ctx, stream.Range{Topic: c.Kafka.Topic(t.Name), From: Partitions(partitions), Since: since}, func(r *stream.Record) error {
			slip, err := receipt.Read(r.Value)
			if err != nil || !slip.Outcome.Kind.Final() {
				return nil //nolint:nilerr // see above
			}
			return each(&slip)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

package trace

import (
	"context"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Fate is what became of a record in a service: delivered, skipped, refused, held, or unknown.
type Fate string

// Held is a record that the service has yet to settle: it has no receipt, and the service's commit has
// not come past it. Unknown is one that the commit has come past, and no receipt is left of: receipts
// are kept as long as records, but nobody keeps them from being deleted.
const (
	Held    Fate = "held"
	Unknown Fate = "unknown"
)

// Law is what became of the records told, in one service:
//
//	Accepted = Delivered + Skipped + Refused + Held + Unknown
type Law struct {
	Service   string `json:"service"`
	Accepted  int    `json:"accepted"`
	Delivered int    `json:"delivered"`
	Skipped   int    `json:"skipped"`
	Refused   int    `json:"refused"`
	Held      int    `json:"held"`
	Unknown   int    `json:"unknown"`
	Twice     int    `json:"delivered_again,omitempty"` // of the delivered, those with more than one such receipt
}

// laws says what became of the records with every service that reads them and says so: with those that
// write receipts, and with the one that keeps profiles.
func (f *finder) laws(ctx context.Context, s *Story) error {
	gone, err := f.expiry(ctx)
	if err != nil {
		return err
	}
	err = f.law(ctx, s, keeper(), func(e *Entry, past bool) (Fate, int) {
		return e.profileFate(past, f.query.Since.IsZero() && gone.before(e.Place.Partition, e.At)), 0
	})
	for _, t := range replay.ReceiptsOf("") {
		if f.partitions[f.cluster.Kafka.Topic(t.Name)] == 0 || err != nil {
			continue
		}
		fateOf := func(e *Entry, past bool) (Fate, int) { return e.fate(t.WrittenBy, past) }
		if t.Name == schema.CRMDeliveries {
			fateOf = (*Entry).writebackFate
		}
		err = f.law(ctx, s, t.WrittenBy, fateOf)
	}
	return err
}

// law is what became of the records with one service. The fate of one is asked for with whether the
// service's commit has come past it; none is of a record that does not concern it.
func (f *finder) law(ctx context.Context, s *Story, service string, fateOf func(e *Entry, past bool) (Fate, int)) error {
	committed, err := f.cluster.Admin.Committed(ctx, f.cluster.Kafka.Group(service))
	if err != nil {
		return err
	}
	law := Law{Service: service}
	for _, e := range s.Entries {
		offsets, reads := committed[e.Place.Topic]
		if !reads && !readBy(e.Topic, service) || e.Place.Partition < 0 {
			continue
		}
		commit, ok := offsets[e.Place.Partition]
		fate, times := fateOf(e, ok && e.Place.Offset < commit)
		if fate == "" || e.Gone && !f.query.Since.IsZero() && (fate == Held || fate == Unknown) {
			continue // what was said of it may be from before
		}
		if e.Fates == nil {
			e.Fates = map[string]Fate{}
		}
		e.Fates[service] = fate
		law.count(fate)
		if times > 1 {
			law.Twice++
		}
	}
	if law.Accepted > 0 {
		s.Laws = append(s.Laws, law)
	}
	return nil
}

// readBy says whether a service reads a topic (without prefix), as package schema has it.
func readBy(topic, service string) bool {
	t, ok := schema.Find(topic)
	if !ok || replay.IsReceipts(topic) || isLetters(topic) {
		return false
	}
	readers := strings.FieldsFunc(t.ReadBy, func(r rune) bool { return r == ',' || r == ' ' })
	return slices.Contains(readers, service)
}

// fate is the last final word of a service, and how often it said delivered; past says that its commit
// has come past the record.
func (e *Entry) fate(service string, past bool) (fate Fate, delivered int) {
	for _, r := range e.Receipts {
		if r.Service != service {
			continue
		}
		switch r.Outcome {
		case "delivered":
			delivered++
			fate = Fate(r.Outcome)
		case "skipped", "refused":
			fate = Fate(r.Outcome)
		}
	}
	switch {
	case fate != "":
		return fate, delivered
	case past:
		return Unknown, 0
	}
	return Held, 0
}

func (l *Law) count(f Fate) {
	l.Accepted++
	switch f {
	case "delivered":
		l.Delivered++
	case "skipped":
		l.Skipped++
	case "refused":
		l.Refused++
	case Held:
		l.Held++
	default:
		l.Unknown++
	}
}

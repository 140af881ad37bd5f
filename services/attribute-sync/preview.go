package attributesync

import (
	"context"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/services/attribute-sync/profile"
)

// Preview says what records of customer.profiles would cost if they came now, without telling anybody: it
// goes the way that they would go in a batch, as far as the difference. It is not for concurrent use.
type Preview struct {
	service Service // with what decides, and nothing that writes
	tx      table.Tx
	user    user
}

// NewPreview makes one for the rules of a fields' file. Repeats of a record are known for as long as
// repeats says, which is DEDUP_WINDOW.
func NewPreview(f *Fields, schemas avro.Source, repeats time.Duration) *Preview {
	rules := *f
	rules.Profile.DedupWindow = repeats
	return &Preview{service: Service{log: zerolog.Nop(), fields: &rules, profiles: avro.NewProfileDecoder(schemas)}}
}

// Cost is what came of some records. It adds up:
//
//	Records = Told + Unchanged + Declined + Refused
type Cost struct {
	Records   int `json:"records"`
	Told      int `json:"told"`      // something of them would be sent to Braze, or folded with what is
	Unchanged int `json:"unchanged"` // Braze has it all
	Declined  int `json:"declined"`  // nothing of them wins
	Refused   int `json:"refused"`   // they would become dead letters

	Updates    int   `json:"updates"`     // objects of attributes that Braze would be sent
	DataPoints int64 `json:"data_points"` // that Braze would charge for them
	Saved      int64 `json:"saved"`       // data points that would be saved, because nothing differs or something newer is in the same batch
}

// Add adds what came of others.
func (c *Cost) Add(d Cost) {
	c.Records += d.Records
	c.Told += d.Told
	c.Unchanged += d.Unchanged
	c.Declined += d.Declined
	c.Refused += d.Refused
	c.Updates += d.Updates
	c.DataPoints += d.DataPoints
	c.Saved += d.Saved
}

// Apply lets records of one customer, of one batch and in their order, change a state as the state's topic
// has it (nothing, where nothing is known), and returns the state behind them and what they would cost.
// A state that cannot be read begins anew, as it would. An error says that the registry is away.
func (p *Preview) Apply(ctx context.Context, key string, state []byte, records []*stream.Record, now time.Time) (after []byte, c Cost, err error) {
	p.tx.Now = now
	t := turn{s: &p.service, tx: &p.tx, at: place{key: key}, user: &p.user}
	if p.user.decode([]byte(key), slices.Clone(state)) != nil {
		p.user.reset()
	}
	for _, r := range records {
		c.Records++
		cause, what, err := t.profile(ctx, r)
		_, unreadable := avro.AsUnreadable(err)
		switch {
		case unreadable, what.Kind == outcome.Refused, len(r.Value) > largest:
			c.Refused++
			continue
		case err != nil:
			return nil, c, err
		}
		cause.Topic, cause.Partition, cause.Offset = r.Topic, r.Partition, r.Offset
		t.waiting = append(t.waiting, waiting{record: r, cause: cause})
	}
	t.cases, t.spent = false, false // they cost nothing that the records ask for
	d := p.user.profile.Update()
	for _, w := range t.waiting {
		switch {
		case names(&d, &w.cause):
			c.Told++
		case whyNot(&d, &w.cause) == "unchanged":
			c.Unchanged++
		default:
			c.Declined++
		}
	}
	for _, n := range d.Counts {
		if n.Fate == profile.Same || n.Fate == profile.Folded {
			c.Saved += n.Points
		}
	}
	c.Updates, c.DataPoints = len(d.Objects), d.Points
	return p.user.append(nil), c, nil
}

package replay

import (
	"bytes"
	"context"
	"hash/maphash"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Estimate is what the range holds, and what would be sent of it. It adds up:
//
//	Records = Delivered + Skipped + Refused + Held + Unknown
//	Records = Again + Anyway + Arrived + Twice
type Estimate struct {
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"` // of their keys and values
	Users   int   `json:"users"`
	// More says that there are more users than were counted.
	More bool `json:"more_users,omitempty"`

	// What became of the records so far.
	Delivered int `json:"delivered"`
	Skipped   int `json:"skipped"`
	Refused   int `json:"refused"`
	Held      int `json:"held"`              // the service has yet to settle them
	Unknown   int `json:"without_a_receipt"` // it has come past them, and no receipt is left

	// What would happen to them.
	Again   int `json:"again"`         // the service gets them once more
	Anyway  int `json:"sent_anyway"`   // it has yet to come to them
	Arrived int `json:"arrived"`       // kept back: Braze has them, or another with the same id
	Twice   int `json:"copied_before"` // kept back: a copy stands on the topic already

	// Doubled are those delivered already that would be delivered again.
	Doubled int `json:"doubled"`
	// Objects are what the records that are sent again make in Braze's requests, without what was
	// skipped before; Requests are the fewest that hold them.
	Objects  int `json:"objects"`
	Requests int `json:"requests"`
	// Attributes are the records among them that set attributes: values that were set since are
	// overwritten.
	Attributes int `json:"set_attributes"`
	// DataPoints are at most what Braze counts for them: one for each event, one for each attribute.
	// It is nil for topics of which that cannot be said.
	DataPoints *int `json:"data_points"`
	// Backfill says of changes of profiles what Braze would be told of them, and the data points exactly.
	Backfill *Backfill `json:"backfill,omitempty"`
}

// maxUsers is how many users are told apart.
const maxUsers = 5_000_000

// count reads the range.
func (p *Plan) count(ctx context.Context) error {
	e := &p.Estimate
	users := map[uint64]struct{}{}
	points, judge := 0, p.judge()
	err := p.read(ctx, func(r *stream.Record, ev *event.Event) error {
		e.Records++
		e.Bytes += int64(len(r.Key) + len(r.Value))
		if len(users) < maxUsers {
			users[maphash.Bytes(seed, r.Key)] = struct{}{}
		} else {
			e.More = true
		}
		kind := p.at(r.Partition, r.Offset).kind()
		e.became(kind, r.Offset >= p.stretch[r.Partition].Committed)
		switch judge.decide(r, ev.ID) {
		case anyway:
			e.Anyway++
			return nil
		case arrived:
			e.Arrived++
			return nil
		case twice:
			e.Twice++
			return nil
		case again:
			e.Again++
		}
		switch kind {
		case outcome.Skipped:
			return nil
		case outcome.Delivered:
			e.Doubled++
		default:
		}
		e.Objects++
		if attributes := members(ev.Attributes); attributes > 0 {
			e.Objects++
			e.Attributes++
			points += attributes
		}
		points++
		return nil
	})
	e.Users = len(users)
	if p.Order.MaxObjects > 0 {
		e.Requests = (e.Objects + p.Order.MaxObjects - 1) / p.Order.MaxObjects
	}
	if p.Order.Topic == schema.CustomerEvents {
		e.DataPoints = &points
	}
	return err
}

func (e *Estimate) became(kind outcome.Kind, ahead bool) {
	switch {
	case kind == outcome.Delivered:
		e.Delivered++
	case kind == outcome.Skipped:
		e.Skipped++
	case kind == outcome.Refused:
		e.Refused++
	case ahead:
		e.Held++
	default:
		e.Unknown++
	}
}

// members is how many members a JSON object has; 0 for what is none.
func members(object []byte) int {
	if len(object) == 0 {
		return 0
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(object), jsontext.AllowDuplicateNames(true))
	if tok, err := d.ReadToken(); err != nil || tok.Kind() != '{' {
		return 0
	}
	n := 0
	for d.PeekKind() == '"' {
		if d.SkipValue() != nil { // the name
			break
		}
		if d.SkipValue() != nil {
			break
		}
		n++
	}
	return n
}

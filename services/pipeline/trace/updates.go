package trace

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Cause is a record that an update of a profile comes from.
type Cause struct {
	Place   replay.Place `json:"place"`
	EventID string       `json:"event_id"`
	Source  string       `json:"source"`
}

// Declined is a write to an attribute that came to nothing, and why.
type Declined struct {
	EventID string       `json:"event_id"` // of the record that wanted it
	Source  string       `json:"source"`   // of that record
	Field   string       `json:"field"`
	Reason  string       `json:"reason"`
	Detail  string       `json:"detail,omitempty"` // which write stands
	Update  replay.Place `json:"update"`           // where that is said
}

// update is what a record of braze.attributes says of where it comes from.
type update struct {
	Causes []struct {
		EventID   string `json:"event_id"`
		Source    string `json:"source"`
		Topic     string `json:"source_topic"`
		Partition int32  `json:"source_partition"`
		Offset    int64  `json:"source_offset"`
	} `json:"causes"`
	Declined []struct {
		EventID string `json:"event_id"`
		Source  string `json:"source"`
		Field   string `json:"field"`
		Reason  string `json:"reason"`
		Detail  string `json:"detail"`
	} `json:"declined"`
}

// comesFrom reads the causes of an update, and the writes that it declines.
func (e *Entry) comesFrom(value []byte) {
	var u update
	if json.Unmarshal(value, &u) != nil {
		return // it is told without
	}
	for _, c := range u.Causes {
		e.Causes = append(e.Causes, Cause{replay.Place{Topic: c.Topic, Partition: c.Partition, Offset: c.Offset}, c.EventID, c.Source})
	}
	for _, d := range u.Declined {
		e.Declined = append(e.Declined, Declined{d.EventID, d.Source, d.Field, d.Reason, d.Detail, e.Place})
	}
}

// followsFrom takes an update that comes from the event asked for, or declines what it wanted.
func (f *finder) followsFrom(ctx context.Context, t schema.Topic, r *stream.Record) error {
	if !f.keys[string(r.Key)] {
		return nil // by far the most
	}
	line, err := f.render.Render(ctx, r)
	if err != nil {
		return err
	}
	e := Entry{Place: replay.PlaceOf(r)}
	e.comesFrom(line.Value)
	named := slices.ContainsFunc(e.Causes, func(c Cause) bool { return f.entries[c.Place] != nil }) ||
		slices.ContainsFunc(e.Declined, func(d Declined) bool { return d.EventID == f.query.Text })
	if !named {
		return nil
	}
	return f.add(ctx, t, r)
}

// link puts updates beside what they come from, and each declined write under the record that wanted it.
// Where that record is not told, it stays with the update.
func (f *finder) link(entries []*Entry) {
	type name struct{ source, id string }
	wanted := map[name]*Entry{} // of copies the last so far: the others have been judged
	for _, e := range entries {
		if ofProfiles(e.Topic) {
			wanted[name{e.Source, e.EventID}] = e
		}
		for _, c := range e.Causes {
			if from := f.entries[c.Place]; from != nil {
				from.Led = append(from.Led, e.Place)
			}
		}
		e.Declined = slices.DeleteFunc(e.Declined, func(d Declined) bool {
			loser := wanted[name{d.Source, d.EventID}]
			if loser == nil || loser == e {
				return false
			}
			loser.Declined = append(loser.Declined, d)
			return true
		})
	}
}

// keeper is the service that keeps profiles: it makes updates out of the topics that it reads.
func keeper() string {
	t, _ := schema.Find(schema.BrazeAttributes)
	return t.WrittenBy
}

// ofProfiles says whether updates are made of a topic's records.
func ofProfiles(topic string) bool { return readBy(topic, keeper()) }

// profileFate is what became of a record with the service that keeps profiles; empty for one that does not
// concern it. It writes no receipts, but what it has made names what it comes from.
func (e *Entry) profileFate(past, expired bool) Fate {
	if !ofProfiles(e.Topic) {
		return ""
	}
	for _, l := range e.Letters {
		if l.Service == keeper() {
			return "refused"
		}
	}
	switch {
	case len(e.Led) > 0:
		return "delivered"
	case len(e.Declined) > 0:
		return "skipped"
	case !past:
		return Held
	case expired:
		return Unknown
	}
	e.Unchanged = true
	return "skipped"
}

// expiry says how far back the topic of updates goes in each partition, where its beginning is gone.
type expiry struct {
	first map[int32]int64     // offset of the first record that is left
	began map[int32]time.Time // when the first that was read was written
}

func (f *finder) expiry(ctx context.Context) (x expiry, err error) {
	x = expiry{map[int32]int64{}, f.began}
	topic := f.cluster.Kafka.Topic(schema.BrazeAttributes)
	if f.partitions[topic] == 0 {
		return x, nil
	}
	extents, err := f.cluster.Admin.Extents(ctx, topic)
	for n, e := range extents {
		x.first[n] = e.First
	}
	return x, err
}

// before reports whether what was made of a record of that time may be gone.
func (x expiry) before(partition int32, at time.Time) bool {
	began, read := x.began[partition]
	return x.first[partition] > 0 && (!read || began.After(at))
}

// profileLines are what a person is told of a record and of what it led to.
func (e *Entry) profileLines() []string {
	var lines []string
	for _, c := range e.Causes {
		lines = append(lines, "comes from "+c.Place.String()+" (id "+c.EventID+", from "+c.Source+")")
	}
	for _, place := range e.Led {
		lines = append(lines, "told to Braze by "+place.String())
	}
	for _, d := range e.Declined {
		line := "declined " + d.Field + ": " + strings.ReplaceAll(d.Reason, "_", " ") + behind(", ", d.Detail)
		if d.Update == e.Place {
			line += " (wanted by " + d.EventID + " from " + d.Source + ")"
		}
		lines = append(lines, line)
	}
	switch {
	case !e.Unchanged:
	case e.Topic == schema.CustomerProfiles:
		lines = append(lines, "unchanged: Braze had it")
	default:
		lines = append(lines, "nothing new for the profile")
	}
	return lines
}

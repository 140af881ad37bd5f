package trace

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

// Tell answers a query. That nothing is found is no error but a story without entries.
func Tell(ctx context.Context, c *replay.Cluster, q Query) (*Story, error) {
	existing, err := c.Existing(ctx)
	if err != nil {
		return nil, err
	}
	ways := []As{q.As}
	if q.As == Either {
		ways = []As{Key, Event}
	}
	var looked []Looked // by the last of the ways, which looks everywhere
	for _, as := range ways {
		f := &finder{
			cluster: c, query: q, as: as, partitions: existing,
			render: tap.NewRenderer(c.Schemas), letters: deadletter.NewDecoder(c.Schemas),
			entries: map[replay.Place]*Entry{}, cut: map[replay.Place]int64{}, keys: map[string]bool{},
			began: map[int32]time.Time{},
		}
		f.render.Expand = true
		if as == Key {
			f.keys[q.Text] = true
		}
		if err := f.find(ctx); err != nil {
			return nil, err
		}
		looked = f.looked
		if len(f.entries) > 0 || f.earlier > 0 {
			story := f.story(looked)
			return story, f.laws(ctx, story)
		}
	}
	return &Story{Query: q.Text, Asked: q.As, Entries: []*Entry{}, Keys: []string{}, Laws: []Law{}, Looked: looked}, nil
}

// finder gathers what belongs to one way to understand a query.
type finder struct {
	cluster    *replay.Cluster
	query      Query
	as         As
	partitions map[string]int32 // of the topics there are, by name on the cluster
	render     *tap.Renderer
	letters    *deadletter.Decoder

	keys    map[string]bool // of the customers concerned
	entries map[replay.Place]*Entry
	cut     map[replay.Place]int64 // by topic and partition: where the records begin that the limit has left
	earlier int
	looked  []Looked
	began   map[int32]time.Time // when the first update that was read in a partition was written
}

// find reads the records first, since letters and receipts are known by them.
func (f *finder) find(ctx context.Context) error {
	receipts, letters := func(t string) bool { return replay.IsReceipts(t) }, isLetters
	records := func(t string) bool { return !receipts(t) && !letters(t) }
	for _, step := range []struct {
		of   func(topic string) bool
		each func(context.Context, schema.Topic, *stream.Record) error
	}{{records, f.record}, {letters, f.letter}, {receipts, f.receipt}} {
		for _, t := range schema.Tables() {
			if !step.of(t.Name) {
				continue
			}
			err := f.read(ctx, t, func(r *stream.Record) error { return step.each(ctx, t, r) })
			if err != nil {
				return err
			}
		}
	}
	return f.findWrites(ctx)
}

func isLetters(topic string) bool { return strings.HasSuffix(topic, schema.DeadLetters("")) }

// read reads those partitions of a topic in which something may be found.
func (f *finder) read(ctx context.Context, t schema.Topic, each func(*stream.Record) error) error {
	topic := f.cluster.Kafka.Topic(t.Name)
	count := f.partitions[topic]
	if count == 0 {
		f.looked = append(f.looked, Looked{Topic: t.Name, Missing: true})
		return nil
	}
	numbers := f.where(t.Name, count)
	if numbers != nil && len(numbers) == 0 {
		return nil // what was found never stood on a topic
	}
	l := Looked{Topic: t.Name, Partitions: slices.Sorted(maps.Keys(numbers))}
	r := stream.Range{Topic: topic, Since: f.query.Since}
	if numbers != nil {
		r.From = replay.Partitions(numbers)
	}
	err := f.cluster.Read(ctx, r, func(rec *stream.Record) error {
		l.Records++
		if _, read := f.began[rec.Partition]; t.Name == schema.BrazeAttributes && !read {
			f.began[rec.Partition] = rec.Timestamp
		}
		return each(rec)
	})
	f.looked = append(f.looked, l)
	return err
}

// where returns the partitions of a topic in which something may be found; nil is all of them.
func (f *finder) where(topic string, count int32) map[int32]bool {
	beside := replay.IsReceipts(topic) || isLetters(topic)
	if f.query.Everywhere || f.as == Event && (!beside || len(f.entries) == 0) {
		return nil
	}
	numbers := map[int32]bool{}
	for key := range f.keys {
		numbers[stream.PartitionOf([]byte(key), count)] = true
	}
	for place, e := range f.entries {
		switch {
		case replay.IsReceipts(topic) && place.Partition >= 0: // a receipt stands where its record does
			numbers[place.Partition] = true
		case isLetters(topic) && (e.Key == "" || e.Key[0] == 0): // such a letter has another key
			numbers[stream.PartitionOf([]byte(place.String()), count)] = true
		}
	}
	return numbers
}

// record takes a record that belongs to the question.
func (f *finder) record(ctx context.Context, t schema.Topic, r *stream.Record) error {
	if f.as == Key {
		if string(r.Key) != f.query.Text {
			return nil
		}
		return f.add(ctx, t, r)
	}
	id := header(r, "event-id")
	if id == f.query.Text {
		return f.add(ctx, t, r)
	}
	if t.Name == schema.BrazeAttributes {
		return f.followsFrom(ctx, t, r)
	}
	// Whoever writes to the topic directly may leave the header out.
	if id != "" || !bytes.Contains(r.Value, []byte(f.query.Text)) {
		return nil
	}
	line, err := f.render.Render(ctx, r)
	if err != nil || fieldsOf(line.Value).EventID != f.query.Text {
		return err
	}
	return f.add(ctx, t, r)
}

func header(r *stream.Record, name string) string {
	for _, h := range r.Headers {
		if h.Key == name {
			return string(h.Value)
		}
	}
	return ""
}

// add makes an entry of a record.
func (f *finder) add(ctx context.Context, t schema.Topic, r *stream.Record) error {
	line, err := f.render.Render(ctx, r)
	if err != nil {
		return err
	}
	fields := fieldsOf(line.Value)
	e := &Entry{
		At: r.Timestamp.UTC(), Place: replay.PlaceOf(r), Topic: t.Name,
		EventID: header(r, "event-id"), Source: header(r, "source"), ReplayedFrom: replay.Origins(r),
		What: headline(t, line), Unreadable: line.Unreadable,
	}
	if e.EventID == "" {
		e.EventID = fields.EventID
	}
	if e.Source == "" {
		e.Source = fields.Source
	}
	if utf8.Valid(r.Key) && r.Key != nil {
		e.Key = string(r.Key)
		f.keys[e.Key] = true
	}
	if t.Name == schema.BrazeAttributes {
		e.comesFrom(line.Value)
	}
	if f.query.Values {
		e.Value = []byte(line.Value)
	}
	f.entries[e.Place] = e
	f.trim()
	return nil
}

// trim keeps to the limit: twice as many may gather before the oldest go.
func (f *finder) trim() {
	if f.query.Limit == 0 || len(f.entries) < 2*f.query.Limit {
		return
	}
	f.drop()
}

// drop leaves the newest, as many as the limit allows.
func (f *finder) drop() {
	if f.query.Limit == 0 || len(f.entries) <= f.query.Limit {
		return
	}
	sorted := slices.SortedFunc(maps.Values(f.entries), older)
	for _, e := range sorted[:len(sorted)-f.query.Limit] {
		part := replay.Place{Topic: e.Place.Topic, Partition: e.Place.Partition}
		f.cut[part] = max(f.cut[part], e.Place.Offset+1)
		delete(f.entries, e.Place)
		f.earlier++
	}
}

func older(a, b *Entry) int {
	if c := a.At.Compare(b.At); c != 0 {
		return c
	}
	return a.Place.Compare(b.Place)
}

// String is where was looked, in words.
func (l Looked) String() string {
	switch {
	case l.Missing:
		return l.Topic + " (not on this cluster)"
	case len(l.Partitions) == 0:
		return fmt.Sprintf("%s (%s)", l.Topic, counted(l.Records, "record"))
	case len(l.Partitions) == 1:
		return fmt.Sprintf("%s (%s of partition %d)", l.Topic, counted(l.Records, "record"), l.Partitions[0])
	}
	return fmt.Sprintf("%s (%s of %d partitions)", l.Topic, counted(l.Records, "record"), len(l.Partitions))
}

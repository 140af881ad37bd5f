package trace

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/avro"
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
}

// find reads the records first, since letters and receipts are known by them.
func (f *finder) find(ctx context.Context) error {
	receipts, letters := func(t string) bool { return replay.IsReceipts(t) }, isLetters
	records := func(t string) bool { return !receipts(t) && !letters(t) }
	for _, step := range []struct {
		of   func(topic string) bool
		each func(context.Context, schema.Topic, *stream.Record) error
	}{{records, f.record}, {letters, f.letter}, {receipts, f.receipt}} {
		for _, t := range schema.Topics() {
			if !step.of(t.Name) {
				continue
			}
			err := f.read(ctx, t, func(r *stream.Record) error { return step.each(ctx, t, r) })
			if err != nil {
				return err
			}
		}
	}
	return nil
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

// about finds the entry that a letter or receipt is about. Where the record is not there any more it
// makes one of what is left; where the limit has cut it off, there is none.
func (f *finder) about(place replay.Place, at *Entry) *Entry {
	if e := f.entries[place]; e != nil {
		return e
	}
	part := replay.Place{Topic: place.Topic, Partition: place.Partition}
	if cut, ok := f.cut[part]; ok && place.Partition >= 0 && place.Offset < cut {
		return nil
	}
	f.trim()
	at.Place, at.Topic, at.Gone = place, f.cluster.Ours(place.Topic), true
	f.entries[place] = at
	return at
}

// gone is what is said of a record of which only letters or receipts are left.
func (f *finder) gone() string {
	if !f.query.Since.IsZero() {
		return "a record from before, or not on its topic any more"
	}
	return "a record that is not on its topic any more"
}

// letter takes a dead letter that is about a record found, or belongs to the question itself.
func (f *finder) letter(ctx context.Context, t schema.Topic, r *stream.Record) error {
	l, err := f.letters.Decode(ctx, r.Value)
	if _, unreadable := avro.AsUnreadable(err); unreadable {
		return nil
	}
	if err != nil {
		return err
	}
	origin := replay.Place{Topic: l.OriginTopic, Partition: l.OriginPartition, Offset: l.OriginOffset}
	own := f.as == Key && string(l.Key) == f.query.Text || f.as == Event && l.EventID == f.query.Text
	if f.entries[origin] == nil && !own {
		return nil
	}
	if origin.Partition < 0 { // of those that never stood on a topic each is its own
		origin = replay.Place{Topic: l.OriginTopic, Partition: -1, Offset: r.Offset}
	}
	e := f.about(origin, &Entry{At: l.AppendedAt.UTC(), EventID: l.EventID, Key: string(l.Key), What: f.gone()})
	if e == nil {
		return nil
	}
	if e.Gone && origin.Partition < 0 {
		e.What = "an item that became no record"
	}
	e.Letters = append(e.Letters, Letter{
		At: r.Timestamp.UTC(), ID: replay.PlaceOf(r), Service: strings.TrimSuffix(t.Name, schema.DeadLetters("")),
		Reason: l.Reason, Detail: l.Detail, Attempts: l.Attempts,
	})
	return nil
}

// receipt takes a receipt likewise. It is read with its writer's schema, whichever service that is.
func (f *finder) receipt(ctx context.Context, t schema.Topic, r *stream.Record) error {
	if f.as == Event && len(f.entries) == 0 && !bytes.Contains(r.Value, []byte(f.query.Text)) {
		return nil // by far the most, when all partitions have to be read
	}
	line, err := f.render.Render(ctx, r)
	if err != nil {
		return err
	}
	var slip struct {
		EventID   string `json:"event_id"`
		UserID    string `json:"user_id"`
		Topic     string `json:"source_topic"`
		Partition int32  `json:"source_partition"`
		Offset    int64  `json:"source_offset"`
		Outcome   string `json:"outcome"`
		Reason    string `json:"reason"`
		Detail    string `json:"detail"`
		Endpoint  string `json:"endpoint"`
		Status    int    `json:"http_status"`
		RequestID string `json:"request_id"`
		LatencyMS int64  `json:"latency_ms"`
		Attempts  int    `json:"attempts"`
	}
	if err := json.Unmarshal(line.Value, &slip); err != nil || slip.Topic == "" {
		return nil //nolint:nilerr // not one that says what it is about
	}
	place := replay.Place{Topic: slip.Topic, Partition: slip.Partition, Offset: slip.Offset}
	own := f.as == Key && string(r.Key) == f.query.Text || f.as == Event && slip.EventID == f.query.Text
	if f.entries[place] == nil && !own {
		return nil
	}
	e := f.about(place, &Entry{At: r.Timestamp.UTC(), EventID: slip.EventID, Key: slip.UserID, What: f.gone()})
	if e == nil {
		return nil
	}
	e.Receipts = append(e.Receipts, Receipt{
		At: r.Timestamp.UTC(), Place: replay.PlaceOf(r), Service: t.WrittenBy,
		Outcome: slip.Outcome, Reason: slip.Reason, Detail: slip.Detail, Endpoint: slip.Endpoint,
		Status: slip.Status, RequestID: slip.RequestID, LatencyMS: slip.LatencyMS, Attempts: slip.Attempts,
	})
	return nil
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

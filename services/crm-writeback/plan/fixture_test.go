package plan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// plainRules are rules without a file: an action's body is the fields of the Contact of its user, and a field's counterpart
// in Braze is the attribute of the same name. An action called "note" writes a note.
type plainRules struct {
	owners map[string]rules.Owner
	self   []string
	turns  int
	within time.Duration
}

const (
	testTarget = "crm"
	testObject = "Contact"
	ourselves  = "api-user"
)

func (r *plainRules) Target(name string) (rules.Target, bool) {
	return rules.Target{Name: name, Self: r.self, EchoWindow: 24 * time.Hour}, name == testTarget
}
func (r *plainRules) WantsAction(name string) bool { return name != "unwanted" }
func (r *plainRules) WantsType(t string) bool      { return strings.HasPrefix(t, "wanted") }

func (r *plainRules) Action(a *event.Action) ([]rules.Draft, error) {
	d := rules.Draft{
		Rule: "all", Target: testTarget, Object: testObject, KeyField: "Braze_Id__c", Key: a.User.ExternalID, Mode: crm.Upsert,
		Fields: jsontext.Value(a.JSON), EditedAt: a.OccurredAt, User: a.User,
	}
	switch {
	case a.Name == "note":
		d.Mode, d.KeyField, d.Key = crm.Note, "", ""
	case a.Name == "broken":
		return nil, errors.New("rule all: set: cannot iterate over: null")
	case d.Key == "":
		d.Skip = rules.NoKey
	}
	return []rules.Draft{d}, nil
}

func (r *plainRules) Engagement(*event.Engagement) ([]rules.Draft, error) { return nil, nil }

func (r *plainRules) Back(c *event.Change) (rules.Back, error) {
	b := rules.Back{User: c.User, Known: c.Object == testObject, KeyField: "Braze_Id__c"}
	if !b.Known {
		return b, nil
	}
	fields := map[string]jsontext.Value{}
	if err := json.Unmarshal(c.Changes, &fields); len(c.Changes) > 0 && err != nil {
		return b, err
	}
	if id, ok := fields["Braze_Id__c"]; ok {
		b.User.ExternalID = strings.Trim(string(id), `"`)
		b.Key = b.User.ExternalID
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if f, ok := r.Field(c.System, c.Object, name); ok {
			b.Fields = append(b.Fields, rules.BackField{Field: f, Raw: fields[name], Value: fields[name]})
		}
	}
	return b, nil
}

func (r *plainRules) Field(_, object, name string) (rules.Field, bool) {
	owner, ok := r.owners[name]
	attribute := name
	if name == "optout" {
		attribute = "email_subscribe"
	}
	return rules.Field{Name: name, Attribute: attribute, Owner: owner}, ok && object == testObject
}

func (r *plainRules) Comparable(dst []byte, _, _, _ string, value jsontext.Value) []byte {
	return append(dst, strings.Trim(string(value), `"`)...)
}
func (r *plainRules) Loop() (int, time.Duration) { return r.turns, r.within }
func (r *plainRules) LinkWait() time.Duration    { return 10 * time.Minute }

// schemasOf answers for a registry.
type schemasOf map[int]string

func (s schemasOf) SchemaByID(_ context.Context, id int) (string, error) {
	if text, ok := s[id]; ok {
		return text, nil
	}
	return "", errors.New("the registry is away")
}

// desk is a planner with a table in memory.
type desk struct {
	t       testing.TB
	planner *Planner
	ids     topics.IDs
	source  schemasOf
	table   map[string]cell // by partition and key

	offset  int64
	writes  []crm.Write
	changes []*stream.Record // emitted
	letters []deadletter.Letter
}

type cell struct {
	partition int32
	key       []byte
	value     []byte
	due       time.Time
}

func newDesk(t testing.TB, r Rules) *desk {
	t.Helper()
	d := &desk{t: t, ids: topics.IDs{}, source: schemasOf{}, table: map[string]cell{}}
	for i, name := range Topics() {
		topic, ok := schema.Find(name)
		if !ok {
			t.Fatalf("there is no topic %s", name)
		}
		d.ids[name] = i + 1
		if topic.RecordType != "" {
			d.source[i+1] = topic.Text()
		}
	}
	d.restart(r)
	return d
}

// restart makes a planner that knows nothing but the table.
func (d *desk) restart(r Rules) {
	d.t.Helper()
	var err error
	d.planner, err = New(Options{Rules: r, Source: d.source, IDs: d.ids, Metrics: prometheus.NewRegistry(), Log: zerolog.New(zerolog.NewTestWriter(d.t))})
	if err != nil {
		d.t.Fatal(err)
	}
}

// plan runs one batch and commits it; or has it fail, and nothing of it has happened.
func (d *desk) plan(now time.Time, commit bool, records ...*stream.Record) {
	d.t.Helper()
	tx := &deskTx{d: d, now: now, set: map[string]cell{}}
	if err := d.planner.process(d.t.Context(), tx, records, now); err != nil {
		d.t.Fatal(err)
	}
	if !commit {
		d.planner.ended(stream.ErrAborted)
		return
	}
	for name, c := range tx.set {
		if d.table[name] = c; c.value == nil {
			delete(d.table, name)
		}
	}
	for _, r := range tx.emitted {
		switch r.Topic {
		case schema.Writes(Name):
			w, err := crm.ReadWrite(r.Value)
			if err != nil {
				d.t.Fatal(err)
			}
			d.writes = append(d.writes, w)
		case schema.CRMChanges:
			d.offset++
			again := *r
			again.Partition, again.Offset, again.Timestamp = partitionOf(r.Key), d.offset, now
			d.changes = append(d.changes, &again)
		default:
			l, err := deadletter.NewDecoder(d.source).Decode(d.t.Context(), r.Value)
			if err != nil {
				d.t.Fatal(err)
			}
			d.letters = append(d.letters, l)
		}
	}
	d.planner.ended(nil)
}

// partitionOf spreads keys over two partitions.
func partitionOf(key []byte) int32 {
	sum := 0
	for _, b := range key {
		sum += int(b)
	}
	return int32(sum % 2)
}

// deskTx is one batch's view of the table.
type deskTx struct {
	d       *desk
	now     time.Time
	set     map[string]cell
	emitted []*stream.Record
}

func cellName(partition int32, key []byte) string { return fmt.Sprintf("%d %s", partition, key) }

func (tx *deskTx) Get(partition int32, key []byte) ([]byte, bool, error) {
	name := cellName(partition, key)
	if c, ok := tx.set[name]; ok {
		return c.value, c.value != nil, nil
	}
	c, ok := tx.d.table[name]
	return c.value, ok, nil
}

func (tx *deskTx) Put(partition int32, key, value []byte, due time.Time) error {
	if len(value) == 0 {
		return errors.New("an empty value")
	}
	if !due.IsZero() && !due.After(tx.now) {
		return fmt.Errorf("due at %v, which is over", due)
	}
	tx.set[cellName(partition, key)] = cell{partition, key, value, due}
	return nil
}

func (tx *deskTx) Delete(partition int32, key []byte) error {
	tx.set[cellName(partition, key)] = cell{}
	return nil
}

func (tx *deskTx) Due(limit int) (list []table.Entry, err error) {
	for _, name := range slices.Sorted(maps.Keys(tx.d.table)) {
		c := tx.d.table[name]
		if !c.due.IsZero() && !c.due.After(tx.now) && len(list) < limit {
			list = append(list, table.Entry{Partition: c.partition, Key: c.key, Value: c.value, Due: c.due})
		}
	}
	return list, nil
}

func (tx *deskTx) Emit(r *stream.Record) error {
	tx.emitted = append(tx.emitted, r)
	return nil
}

func (d *desk) record(topic, key string, at time.Time, value []byte) *stream.Record {
	d.offset++
	return &stream.Record{
		Topic: topic, Key: []byte(key), Value: value, Partition: partitionOf([]byte(key)), Offset: d.offset, Timestamp: at,
	}
}

func (d *desk) action(a *event.Action) *stream.Record {
	return d.record(schema.BrazeActions, a.Key(), a.ReceivedAt, avro.AppendAction(nil, d.ids[schema.BrazeActions], a))
}

func (d *desk) change(c *event.Change) *stream.Record {
	key := c.Key()
	if c.Kind == event.Linked {
		key = event.ObjectKey(c.System, c.Object, c.ObjectID)
	}
	return d.record(schema.CRMChanges, key, c.ReceivedAt, avro.AppendChange(nil, d.ids[schema.CRMChanges], c))
}

func (d *desk) delivery(x *crm.Delivery) *stream.Record {
	return d.record(schema.CRMDeliveries, x.UserID, x.SettledAt, x.Append(nil, d.ids[schema.CRMDeliveries]))
}

// take returns the rows planned since the last time.
func (d *desk) take() []crm.Write {
	w := d.writes
	d.writes = nil
	return w
}

package plan

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

var _ Rules = (*rules.Set)(nil)

const benchmarkFile = `
targets:
  - name: crm
    kind: salesforce
    self: ["0055e00000Demo3AAC"]
    salesforce: {url: "https://example.invalid", auth: {client_id: id, client_secret: secret}}
    objects:
      - object: Contact
        key: {field: Braze_External_Id__c, from: .user.external_id}
        identity: Braze_External_Id__c
        fields:
          - {field: FirstName, attribute: first_name}
          - {field: Email, attribute: email}
          - {field: HasOptedOutOfEmail, attribute: email_subscribe, type: boolean, to_braze: 'if . then "unsubscribed" else "subscribed" end'}
rules:
  - name: form
    on: actions
    names: ["form-*"]
    if: .payload.fields != null
    target: crm
    object: Contact
    set: |
      .payload.fields as $f
      | {FirstName: $f.first_name, Email: $f.email, HasOptedOutOfEmail: ($f.newsletter == "no")}
      | with_entries(select(.value != null and .value != ""))
`

// quickTx is a table in memory that costs next to nothing.
type quickTx struct {
	table   map[string][]byte
	emitted int
}

func (tx *quickTx) Get(_ int32, key []byte) ([]byte, bool, error) {
	v, ok := tx.table[string(key)]
	return v, ok, nil
}

func (tx *quickTx) Put(_ int32, key, value []byte, _ time.Time) error {
	tx.table[string(key)] = value
	return nil
}

func (tx *quickTx) Delete(_ int32, key []byte) error {
	delete(tx.table, string(key))
	return nil
}
func (tx *quickTx) Due(int) ([]table.Entry, error) { return nil, nil }
func (tx *quickTx) Emit(*stream.Record) error {
	tx.emitted++
	return nil
}

// benchmark plans records of many users in batches of a thousand, and asks for a row for each.
func benchmark(b *testing.B, records func(d *desk, i, user int, at time.Time) *stream.Record) {
	set, err := rules.Parse([]byte(benchmarkFile), func(string) (string, bool) { return "", false })
	if err != nil {
		b.Fatal(err)
	}
	d := newDesk(b, set)
	tx := &quickTx{table: map[string][]byte{}}
	const users, each = 20_000, 1_000
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	var batch []*stream.Record
	var spent time.Duration
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; {
		b.StopTimer()
		batch = batch[:0]
		now = now.Add(time.Second)
		for n := 0; n < each && i < b.N; n++ {
			batch = append(batch, records(d, i, i%users, now))
			i++
		}
		b.StartTimer()
		from := cpuTime(b)
		if err := d.planner.process(b.Context(), tx, batch, now); err != nil {
			b.Fatal(err)
		}
		d.planner.ended(nil)
		spent += cpuTime(b) - from
	}
	b.StopTimer()
	if tx.emitted < b.N {
		b.Fatalf("%d records made %d rows", b.N, tx.emitted)
	}
	b.ReportMetric(float64(tx.emitted)/spent.Seconds(), "rows/cpu-s")
}

// cpuTime is what this process has computed, the collector of garbage included.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// BenchmarkActions plans forms: Avro, jq, state, row.
func BenchmarkActions(b *testing.B) {
	benchmark(b, func(d *desk, i, user int, at time.Time) *stream.Record {
		n := strconv.Itoa(i)
		return d.action(&event.Action{
			ID: "3f2b8c1e-" + n, User: event.User{ExternalID: "customer-" + strconv.Itoa(user)}, Name: "form-contact", OccurredAt: at, ReceivedAt: at, Source: "braze",
			ContentType: "application/json",
			JSON:        fmt.Appendf(nil, `{"fields":{"first_name":"Mira %s","email":"mira.%s@example.com","newsletter":"no"},"form":"contact"}`, n, n),
		})
	})
}

// BenchmarkChanges plans what colleagues change in the CRM, on its way to Braze.
func BenchmarkChanges(b *testing.B) {
	benchmark(b, func(d *desk, i, user int, at time.Time) *stream.Record {
		c := &event.Change{
			ID: "change-" + strconv.Itoa(i), User: event.User{ExternalID: "customer-" + strconv.Itoa(user)}, Kind: event.Changed, System: "crm",
			Object: "Contact", ObjectID: "003" + strconv.Itoa(user), Actor: "0055e00000Somebody", OccurredAt: at, ReceivedAt: at,
			Changes: fmt.Appendf(nil, `{"FirstName":"Mira %d","HasOptedOutOfEmail":true}`, i),
		}
		return d.record(schema.CRMChanges, c.Key(), at, avro.AppendChange(nil, d.ids[schema.CRMChanges], c))
	})
}

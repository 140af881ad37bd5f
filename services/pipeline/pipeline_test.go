package pipeline_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/simulate"
)

func TestAnEventArrivesAsItWasSent(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		status, answer := r.post("/v1/events", `{"id":"e-1","user":{"external_id":"cus-1"},"name":"Order Completed","time":"2026-03-02T09:15:03.480Z",
			"properties":{"total":84.90,"warehouse_ref":820982911946154508,"note":"Zoë & co <3"},"attributes":{"tier":"gold"}}`)
		if status != http.StatusAccepted {
			t.Fatalf("the front door answers %d %s", status, answer)
		}
		r.settled(1)
		profile, _ := r.Sandbox().Profile("cus-1")
		got, err := json.Marshal(profile)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{`820982911946154508`, `84.90`, `"gold"`, `Order Completed`} {
			if !bytes.Contains(got, []byte(want)) {
				t.Errorf("the profile has no %s: %s", want, got)
			}
		}
		if v := r.Sandbox().Violations(); len(v) > 0 {
			t.Errorf("violations: %v", v)
		}
	})
}

// expectation is what a story foresees.
type expectation struct {
	records int              // that get onto customer.events and commerce.events
	fates   map[string]int   // of these
	order   map[string][]int // by user: the numbers of what is delivered, in their order
}

// ofShop is what the commerce events of a user are ordered under: nothing orders records of two topics.
func ofShop(user string) string { return user + ", by the shop" }

// foresee reads a story's first items, as many as a telling of it has.
func foresee(t simulate.Telling, items int) expectation {
	e := expectation{fates: map[string]int{}, order: map[string][]int{}}
	story := simulate.NewStory(t)
	for told := 0; told < items; {
		a := story.Next()
		// A refund that comes before its order waits for it, and they arrive in the order of their numbers.
		slices.SortStableFunc(a.Items, func(a, b simulate.Item) int { return a.Seq - b.Seq })
		for _, it := range a.Items {
			told++
			if it.Fate == simulate.Nowhere || it.Fate == simulate.Elsewhere {
				continue
			}
			e.records++
			e.fates[string(it.Fate)]++
			if it.Fate == simulate.Delivered {
				who := a.Person.Key
				if it.Commerce != nil {
					who = ofShop(who)
				}
				e.order[who] = append(e.order[who], it.Seq)
			}
		}
	}
	return e
}

// arrived is what the sandbox has applied, by user, as seq says.
func arrived(t *testing.T, s *brazefake.Sandbox) map[string][]int {
	t.Helper()
	order := map[string][]int{}
	for o := range s.Received() {
		if o.Array != braze.Events || !o.Fate.Applied() {
			continue
		}
		var properties struct {
			Seq      int
			Metadata *struct{ Seq int } // of commerce events
		}
		if err := json.Unmarshal(o.Properties, &properties); err != nil {
			t.Fatal(err)
		}
		who, seq := o.User, properties.Seq
		if properties.Metadata != nil {
			who, seq = ofShop(who), properties.Metadata.Seq
		}
		order[who] = append(order[who], seq)
	}
	return order
}

func (e expectation) met(t *testing.T, law pipeline.Law) {
	t.Helper()
	want := pipeline.Books{
		Accepted: e.records, Delivered: e.fates["delivered"], Skipped: e.fates["skipped"], Refused: e.fates["refused"],
	}
	if diff := cmp.Diff(want, law.Books); diff != "" {
		t.Errorf("the law (-foreseen +counted):\n%s", diff)
	}
}

func TestAStoryWithMishapsKeepsTheLawAndEverybodysOrder(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		telling := simulate.Telling{Seed: 7, Customers: 30, Mishaps: simulate.FrontDoor}
		const items = 800
		sum, err := simulate.Door{URL: r.Places().Door, Key: "dev"}.Send(t.Context(), telling, simulate.Pace{Items: items})
		if err != nil || sum.Surprised > 0 || sum.Known > 0 {
			t.Fatalf("the story went otherwise: %v, %+v", err, sum)
		}
		e := foresee(telling, items)
		e.met(t, r.settled(e.records))
		if diff := cmp.Diff(e.order, arrived(t, r.Sandbox())); diff != "" {
			t.Errorf("what arrived, by user (-told +arrived):\n%s", diff)
		}
		if v := r.Sandbox().Violations(); len(v) > 0 {
			t.Errorf("violations: %v", v)
		}
		if letters := r.read(schema.DeadLetters("braze-sender")); len(letters) != e.fates["refused"] {
			t.Errorf("%d dead letters, want %d, one for each record that was refused", len(letters), e.fates["refused"])
		}
		others := 0
		for _, topic := range beside {
			others += len(r.read(topic))
		}
		if receipts := r.read(schema.BrazeDeliveries); len(receipts) != e.records+others {
			t.Errorf("%d receipts for %d events and %d records beside them", len(receipts), e.records, others)
		}
	})
}

func TestEverybodysOrderHoldsWhileBrazeHasABadDay(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		// Nothing here leaves a request in doubt, so nothing may arrive twice.
		if err := r.Sandbox().SetKnobs(brazefake.Knobs{P429: 0.1, P5xxBefore: 0.1, PItemError: 0.03}); err != nil {
			t.Fatal(err)
		}
		telling := simulate.Telling{Seed: 11, Customers: 25}
		const items = 300
		if _, err := (simulate.Door{URL: r.Places().Door, Key: "dev"}).Send(t.Context(), telling, simulate.Pace{Items: items}); err != nil {
			t.Fatal(err)
		}
		e := foresee(telling, items)
		law := r.settled(e.records)
		if law.Skipped != e.fates["skipped"] || law.Delivered+law.Refused != e.fates["delivered"] || law.Refused == 0 {
			t.Errorf("law %+v, foreseen %v and some of the delivered refused", law, e.fates)
		}
		for user, order := range arrived(t, r.Sandbox()) {
			if !slices.IsSorted(order) || len(slices.Compact(slices.Clone(order))) != len(order) {
				t.Errorf("%s: events arrived in the order %v", user, order)
			}
		}
		if v := r.Sandbox().Violations(); len(v) > 0 {
			t.Errorf("violations: %v", v)
		}
	})
}

// upstreamSchema is what another team's producer registers: our event, and a list of theirs.
func upstreamSchema(t *testing.T) string {
	t.Helper()
	topic, _ := schema.Find(schema.CustomerEvents)
	return strings.TrimSuffix(strings.TrimSpace(topic.Text()), "]\n}") +
		`, {"name": "labels", "type": {"type": "array", "items": "string"}, "default": [], "doc": "Labels of theirs."}]}`
}

func TestWhatUpstreamSystemsBreakBecomesADeadLetterWithItsBytes(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		u := simulate.Upstreamer{
			Brokers: []string{r.Places().Kafka}, Registry: r.Places().Registry,
			Topic: r.kafka.Topic(schema.CustomerEvents), CommerceTopic: r.kafka.Topic(schema.CommerceEvents),
		}
		telling := simulate.Telling{Seed: 5, Customers: 30, Mishaps: simulate.Upstream, Straight: true}
		const items = 800
		sum, err := u.Send(t.Context(), telling, simulate.Pace{Items: items})
		if err != nil || sum.Total.Lost > 0 {
			t.Fatalf("writing: %v, %+v", err, sum)
		}
		hostile := r.hostileArray(u)
		e := foresee(telling, items)
		r.placedAlike(&e)
		e.records++
		e.fates["refused"]++
		law := r.settled(e.records)
		if law.Refused != e.fates["refused"] || law.Delivered+law.Skipped != e.fates["delivered"]+e.fates["skipped"] {
			t.Errorf("law %+v, foreseen %v", law, e.fates)
		}
		// Duplicates of upstream's own making may be delivered or skipped: the order is what counts.
		for user, order := range arrived(t, r.Sandbox()) {
			if !slices.IsSorted(order) {
				t.Errorf("%s: events arrived in the order %v", user, order)
			}
			if want := e.order[user]; !cmp.Equal(slices.Compact(slices.Clone(order)), slices.Compact(slices.Clone(want))) {
				t.Errorf("%s: %v arrived, want %v", user, order, want)
			}
		}
		r.lettersHoldTheBytes(e.fates["refused"], hostile)
	})
}

// placedAlike lets people whom the upstream system has written about come in through the front door,
// too: their records must stand on one partition, or they have no order.
func (r *rig) placedAlike(e *expectation) {
	r.t.Helper()
	const last = 1_000_000 // behind everything that upstream has numbered
	upstream := map[string]int32{}
	for _, rec := range r.read(schema.CustomerEvents) {
		if strings.HasPrefix(string(rec.Key), "cus-5-") {
			upstream[string(rec.Key)] = rec.Partition
		}
	}
	if len(upstream) < 10 {
		r.t.Fatalf("upstream wrote about %d people, too few to tell", len(upstream))
	}
	for key := range upstream {
		body := fmt.Sprintf(`{"id":"door-%s","user":{"external_id":%q},"name":"Came In","properties":{"seq":%d}}`, key, key, last)
		if status, answer := r.post("/v1/events", body); status != http.StatusAccepted {
			r.t.Fatalf("the front door answers %d %s", status, answer)
		}
		e.records++
		e.fates["delivered"]++
		e.order[key] = append(e.order[key], last)
	}
	for _, rec := range r.read(schema.CustomerEvents) {
		if partition, known := upstream[string(rec.Key)]; known && partition != rec.Partition {
			r.t.Errorf("%s stands on partition %d by upstream and %d by the front door", rec.Key, partition, rec.Partition)
		}
	}
}

// hostileArray writes a record with a foreign schema whose array claims two billion items.
func (r *rig) hostileArray(u simulate.Upstreamer) []byte {
	r.t.Helper()
	client, err := registry.New(registry.Config{URL: r.Places().Registry})
	if err != nil {
		r.t.Fatal(err)
	}
	id, err := client.Register(r.t.Context(), r.kafka.Topic("upstream.events")+"-value", upstreamSchema(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	f, err := u.Framer(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	// Our own record, as far as it goes, and then the count.
	value, err := f.Frame(map[string]any{
		"event_id": "hostile-1", "user_id": "cus-h", "external_id": map[string]any{"string": "cus-h"}, "braze_id": nil, "alias_label": nil,
		"alias_name": nil, "email": nil, "phone": nil, "event_name": "Product Viewed", "event_kind": "track", "occurred_at": 0, "received_at": 0,
		"source": "erp", "properties_json": nil, "attributes_json": nil, "app_id": nil, "braze_disabled": nil, "identified_as": nil,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	binary.BigEndian.PutUint32(value[1:], uint32(id)) //nolint:gosec // a registry's ids are positive
	value = binary.AppendVarint(value, math.MaxInt32)
	w := &kafka.Writer{
		Addr: kafka.TCP(u.Brokers...), Topic: u.Topic, RequiredAcks: kafka.RequireAll, Balancer: kafka.Murmur2Balancer{}, BatchSize: 1,
	}
	if err := w.WriteMessages(r.t.Context(), kafka.Message{Key: []byte("cus-h"), Value: value}); err != nil {
		r.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		r.t.Fatal(err)
	}
	return value
}

// lettersHoldTheBytes compares every dead letter with the record it is about.
func (r *rig) lettersHoldTheBytes(n int, hostile []byte) {
	r.t.Helper()
	type place struct {
		topic     string
		partition int32
		offset    int64
	}
	originals := map[place]*stream.Record{}
	for _, topic := range []string{schema.CustomerEvents, schema.CommerceEvents} {
		for _, rec := range r.read(topic) {
			originals[place{rec.Topic, rec.Partition, rec.Offset}] = rec
		}
	}
	topic, _ := schema.Find(schema.DeadLetters("braze-sender"))
	codec, err := avro.NewCodec(topic.Text(), 1)
	if err != nil {
		r.t.Fatal(err)
	}
	reasons, sawHostile := map[string]int{}, false
	letters := r.read(topic.Name)
	for _, rec := range letters {
		l, err := deadletter.Read(codec, rec.Value)
		if err != nil {
			r.t.Fatal(err)
		}
		reasons[l.Reason]++
		sawHostile = sawHostile || bytes.Equal(l.Value, hostile)
		o := originals[place{l.OriginTopic, l.OriginPartition, l.OriginOffset}]
		if o == nil {
			r.t.Errorf("a letter is about %d/%d, where there is nothing", l.OriginPartition, l.OriginOffset)
			continue
		}
		if !bytes.Equal(l.Value, o.Value) || !bytes.Equal(l.Key, o.Key) || !cmp.Equal(l.Headers, o.Headers) {
			r.t.Errorf("the letter about %d/%d (%s) does not hold the record's bytes", l.OriginPartition, l.OriginOffset, l.Reason)
		}
	}
	if len(letters) != n {
		r.t.Errorf("%d letters, want %d", len(letters), n)
	}
	if !sawHostile {
		r.t.Error("no letter holds the record with the hostile array")
	}
	for _, reason := range []string{"not_avro", "unknown_schema", "key_mismatch", "undecodable", "invalid"} {
		if reasons[reason] == 0 {
			r.t.Errorf("no letter says %s: %v", reason, reasons)
		}
	}
}

func TestARealBrazeGetsEverythingAndTheSandboxNothing(t *testing.T) {
	t.Parallel()
	elsewhere := brazefake.New(brazefake.Options{Keys: []brazefake.Key{{Value: "a-real-key"}}})
	server := httptest.NewServer(elsewhere)
	t.Cleanup(server.Close)
	sandbox := freeAddr(t)
	r := start(t, load(t, "EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0", "SANDBOX_BRAZE_ADDR="+sandbox,
		"BRAZE_REST_ENDPOINT="+server.URL, "BRAZE_API_KEY=a-real-key"), pipeline.Options{})
	if status, answer := r.post("/v1/events", `{"user":{"external_id":"cus-1"},"name":"Product Viewed","properties":{"seq":1}}`); status != http.StatusAccepted {
		t.Fatalf("the front door answers %d %s", status, answer)
	}
	r.settled(1)
	if got := arrived(t, elsewhere); !cmp.Equal(got, map[string][]int{"cus-1": {1}}) {
		t.Errorf("the configured Braze got %v", got)
	}
	if r.Sandbox() != nil || r.Places().Sandbox != "" {
		t.Error("there is a sandbox although a Braze is configured")
	}
	var d net.Dialer
	if conn, err := d.DialContext(t.Context(), "tcp", sandbox); err == nil {
		_ = conn.Close()
		t.Errorf("something listens at SANDBOX_BRAZE_ADDR (%s)", sandbox)
	}
	if strings.Contains(r.terminal.String(), "a-real-key") {
		t.Error("the terminal shows the API key")
	}
}

func TestStoppingDeliversWhatWasAccepted(t *testing.T) {
	t.Parallel()
	// A long linger: at the time of the stop everything is still held.
	r := start(t, load(t, "EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0", "BRAZE_LINGER=500ms"), pipeline.Options{})
	status, answer := r.post("/v1/events", `[{"user":{"external_id":"a"},"name":"One","properties":{"seq":1}},{"user":{"external_id":"b"},"name":"Two","properties":{"seq":1}}]`)
	if status != http.StatusAccepted {
		t.Fatalf("the front door answers %d %s", status, answer)
	}
	if err := r.stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	if got := arrived(t, r.Sandbox()); len(got) != 2 {
		t.Errorf("%v arrived before the end, want both events", got)
	}
	if !strings.Contains(r.terminal.String(), "taken 2 = delivered 2 + skipped 0 + refused 0 + held 0") {
		t.Errorf("the terminal does not say what became of the events")
	}
}

func TestSimulatedCustomersArriveByThemselves(t *testing.T) {
	t.Parallel()
	r := start(t, load(t, "EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0", "SIMULATE_RATE=100"), pipeline.Options{Simulate: true})
	await(t, "twenty events have arrived", func() bool { return r.Law().Delivered >= 20 })
	await(t, "the terminal tells of the first", func() bool { return strings.Contains(r.terminal.String(), "first arrival") })
	if err := r.stop(); err != nil {
		t.Fatalf("stopping: %v", err)
	}
	law := r.Law()
	if law.Held != 0 || law.Accepted != law.Delivered+law.Skipped+law.Refused {
		t.Errorf("at the end the law is %+v", law)
	}
	if v := r.Sandbox().Violations(); len(v) > 0 {
		t.Errorf("violations: %v", v)
	}
}

func TestDataIsKeptWhereAFolderIsNamed(t *testing.T) {
	t.Parallel()
	cfg := load(t, "EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0", "SLUICE_DATA_DIR="+t.TempDir())
	first := start(t, cfg, pipeline.Options{})
	if status, answer := first.post("/v1/events", `{"id":"kept-1","user":{"external_id":"a"},"name":"One","properties":{"seq":1}}`); status != http.StatusAccepted {
		t.Fatalf("the front door answers %d %s", status, answer)
	}
	first.settled(1)
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	second := start(t, cfg, pipeline.Options{})
	if records := second.read(schema.CustomerEvents); len(records) != 1 {
		t.Errorf("%d records after a restart, want the one from before", len(records))
	}
	if status, answer := second.post("/v1/events", `{"id":"kept-2","user":{"external_id":"a"},"name":"Two","properties":{"seq":2}}`); status != http.StatusAccepted {
		t.Fatalf("the front door answers %d %s", status, answer)
	}
	second.settled(1) // and not two: the first was settled and stays so
	if got := arrived(t, second.Sandbox()); !cmp.Equal(got, map[string][]int{"a": {2}}) {
		t.Errorf("after the restart %v arrived, want only what came after it", got)
	}
}

func TestATargetRunsAlone(t *testing.T) {
	t.Parallel()
	r := start(t, load(t, "EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0"), pipeline.Options{Targets: []string{"ingest"}})
	if status, answer := r.post("/v1/events", `{"user":{"external_id":"a"},"name":"One"}`); status != http.StatusAccepted {
		t.Fatalf("the front door answers %d %s", status, answer)
	}
	if r.Sandbox() != nil || r.Metrics("braze-sender") != nil || r.Places().Kafka == "" {
		t.Errorf("with --target=ingest it runs at %+v", r.Places())
	}
	if !strings.Contains(r.terminal.String(), "not in this process: braze-sender") {
		t.Error("the terminal does not say which flow lacks its service")
	}
}

func TestAnAddressThatIsTakenIsNamed(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	taken, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	for _, variable := range []string{"EMBEDDED_KAFKA_ADDR", "EMBEDDED_REGISTRY_ADDR", "SANDBOX_BRAZE_ADDR", "SANDBOX_CRM_ADDR", "INGEST_ADDR", "CONTENT_ADDR"} {
		t.Run(variable, func(t *testing.T) {
			t.Parallel()
			cfg := load(t, "EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0", variable+"="+taken.Addr().String())
			p, err := daemon.NewProcess(t.Context(), "sluice", cfg.DaemonConfig(), testWriter{t})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			_, err = pipeline.Open(t.Context(), cfg, pipeline.Options{}, p)
			if err == nil || !strings.Contains(err.Error(), "set "+variable+" to another address") {
				t.Errorf("got %v, want an error that names %s", err, variable)
			}
		})
	}
}

// freeAddr is an address at which nothing listens.
func freeAddr(t *testing.T) string {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

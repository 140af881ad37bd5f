package pipeline_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/backfill"
	"github.com/sluicehq/sluice/services/pipeline/deadletters"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/sinks"
)

// fragile is an embedded Kafka outside of the pipeline that a test can break; nothing, where the cluster is
// one that others use, too.
func fragile(t *testing.T, c *cluster) *embedded.Broker {
	t.Helper()
	if c.name != "embedded" {
		return nil
	}
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0", Partitions: 4})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	c.environ = []string{"KAFKA_BROKERS=" + strings.Join(broker.Brokers(), ","), "EMBEDDED_REGISTRY_ADDR=:0"}
	return broker
}

// trouble reports whether a call of Currents was not taken.
func (r *rig) trouble() bool {
	report, _ := r.Sandbox().CurrentsReport("", 0)
	for _, call := range report.Calls {
		if call.Events > 0 && (call.Status < 200 || call.Status > 299) {
			return true
		}
	}
	return false
}

func TestWhatCustomersDoWithMessagesComesBackOnceThroughAKafkaThatHiccups(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		broker := fragile(t, &c)
		r := start(t, load(t, append(c.environ, "SANDBOX_CURRENTS=true", "SANDBOX_MARKETING=1", "INGEST_DELIVERY_TIMEOUT=1s")...), pipeline.Options{})
		const customers = 40
		for i := range customers {
			if status, answer := r.post("/v1/events", fmt.Sprintf(
				`{"user":{"external_id":"cus-%d"},"name":"Signed Up","attributes":{"email":"cus-%d@example.com"}}`, i, i)); status != http.StatusAccepted {
				t.Fatalf("the front door answers %d %s", status, answer)
			}
		}
		if broker != nil {
			await(t, "something has come back", func() bool { return r.Sandbox().Collected(0).Events > 0 })
			thaw := broker.Freeze()
			if status, _ := r.ask(http.MethodPost, "/v1/events", `{"user":{"external_id":"cus-0"},"name":"Missed"}`); status != http.StatusServiceUnavailable {
				t.Errorf("without Kafka the front door answers %d", status)
			}
			await(t, "Currents is told to come again", r.trouble)
			thaw()
		}
		await(t, "every message has been delivered or bounced, and all that was reported is at the far end", func() bool {
			got := r.Sandbox().Collected(0)
			report, _ := r.Sandbox().CurrentsReport("", 0)
			mails := got.Types["users.messages.email.Delivery"] + got.Types["users.messages.email.Bounce"]
			return mails >= customers && report.Pending == 0 && report.Made == report.Sent && got.Distinct == report.Sent
		})
		got := r.Sandbox().Collected(0)
		if got.Doubled > 0 || got.NoID > 0 || got.Types["users.messages.email.Send"] < customers || got.Types["users.behaviors.CustomEvent"] < customers {
			t.Errorf("the far end has %+v", got)
		}
		await(t, "the doubles of the topic are skipped", func() bool {
			books := r.Law().Sinks
			return books.Held == 0 && books.Accepted == 2*len(r.read(schema.BrazeEngagements))
		})
		if books := r.Law().Sinks; books.Refused > 0 || books.Skipped < 2*(len(r.read(schema.BrazeEngagements))-r.Sandbox().Collected(0).Distinct) {
			t.Errorf("the law of the sinks is %s", books)
		}
		if v := r.Sandbox().Violations(); len(v) > 0 {
			t.Errorf("violations: %v", v)
		}
	})
}

// report sends events to the front door as Braze does, from that number on.
func (r *rig) report(from, n int) {
	r.t.Helper()
	var events []string
	for i := from; i < from+n; i++ {
		events = append(events, fmt.Sprintf(`{"event_type":"users.messages.email.Open","id":"open-%03d","time":1785315688,"user":{"external_user_id":"cus-%d"},
			"properties":{"campaign_id":"spring","email_address":"cus@example.com"}}`, i, i%7))
	}
	if status, answer := r.post("/v1/braze/currents?ws=eu", `{"events":[`+strings.Join(events, ",")+`]}`); status != http.StatusOK {
		r.t.Fatalf("the front door answers %d %s", status, answer)
	}
}

// site is what an operator's commands look at.
func (r *rig) site() *replay.Cluster {
	r.t.Helper()
	admin, err := stream.NewAdmin(r.kafka)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(admin.Close)
	client, err := registry.New(registry.Config{URL: r.Places().Registry})
	if err != nil {
		r.t.Fatal(err)
	}
	return &replay.Cluster{Kafka: r.kafka, Admin: admin, Schemas: avro.FromRegistry(client)}
}

// sink is how far a sink is.
func (r *rig) sink(site *replay.Cluster, name string) sinks.Status {
	r.t.Helper()
	all, err := r.config.Sinks()
	if err != nil {
		r.t.Fatal(err)
	}
	if all == nil { // a Kafka that was configured: the names are those of the file that the pipeline has written
		all = []sinks.Sink{{Name: "collector", Kind: "http"}, {Name: "files", Kind: "files", Topics: []string{schema.BrazeEngagements}}}
	}
	one, err := sinks.Find(all, name)
	if err != nil {
		r.t.Fatal(err)
	}
	list, err := sinks.List(r.t.Context(), site, []sinks.Sink{one})
	if err != nil {
		r.t.Fatal(err)
	}
	return list[0]
}

func TestASinkPausesGoesOnAndGetsARangeAgainAndNoOtherNotices(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		site := r.site()
		collected := func() int { return r.Sandbox().Collected(0).Events }
		r.report(0, 50)
		await(t, "fifty are at the far end", func() bool { return collected() == 50 })

		if err := sinks.Say(t.Context(), site, "collector", sinks.Pause{Paused: true, Since: time.Now(), By: "mara", Why: "moving house"}); err != nil {
			t.Fatal(err)
		}
		await(t, "nobody works for the sink", func() bool { return r.sink(site, "collector").State == sinks.Paused })
		r.report(50, 30)
		await(t, "the other sink has all", func() bool { s := r.sink(site, "files"); return s.Lag == 0 && s.State == sinks.Running })
		if n, s := collected(), r.sink(site, "collector"); n != 50 || s.Lag != 30 || s.Pause == nil || s.Pause.By != "mara" {
			t.Errorf("while it pauses it gets %d, and is %+v", n, s)
		}
		if err := sinks.Say(t.Context(), site, "collector", sinks.Pause{By: "mara"}); err != nil {
			t.Fatal(err)
		}
		await(t, "the rest is at the far end", func() bool { return collected() == 80 })
		await(t, "it is committed", func() bool { return r.sink(site, "collector").Lag == 0 })

		plan, err := sinks.Make(t.Context(), site, sinks.Order{Sink: sinks.Sink{Name: "collector"}, From: replay.Edge{ByOffset: true}, By: "mara"})
		if err != nil || plan.Records != 80 {
			t.Fatalf("the plan is %+v, %v", plan, err)
		}
		if err := plan.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, "it has all of it once more", func() bool { return collected() == 160 })
		if got := r.Sandbox().Collected(0); got.Distinct != 80 || got.Doubled != 80 {
			t.Errorf("the far end has %+v", got)
		}

		files := func() []string {
			t.Helper()
			found, err := filepath.Glob(filepath.Join(r.Places().Files, "event_type=users.messages.email.Open", "*", "*.parquet"))
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		before := files()
		if len(before) == 0 {
			t.Fatal("there are no files")
		}
		again, err := sinks.Make(t.Context(), site, sinks.Order{Sink: sinks.Sink{Name: "files", Topics: []string{schema.BrazeEngagements}}, From: replay.Edge{ByOffset: true}})
		if err != nil || again.Records != 80 {
			t.Fatalf("the plan is %+v, %v", again, err)
		}
		if err := again.Do(t.Context()); err != nil {
			t.Fatal(err)
		}
		await(t, "the files are written again", func() bool { s := r.sink(site, "files"); return s.Lag == 0 && s.State == sinks.Running })
		if diff := cmp.Diff(before, files()); diff != "" {
			t.Errorf("written again the files are others (-before +after):\n%s", diff)
		}
	})
}

func TestABackfillGivenTwiceIsTakenOnce(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		r.report(0, 5) // of which the files have two as well
		folder := filepath.Join(t.TempDir(), "event_type=users.messages.email.Open", "date=2026-07-29-09")
		if err := os.MkdirAll(folder, 0o750); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(filepath.Join(folder, "part.avro"))
		if err != nil {
			t.Fatal(err)
		}
		w, err := goavro.NewOCFWriter(goavro.OCFConfig{W: f, Schema: `{"type":"record","name":"Open","fields":[
			{"name":"id","type":"string"},{"name":"user_id","type":"string"},{"name":"external_user_id","type":["null","string"]},{"name":"time","type":"int"}]}`})
		if err != nil {
			t.Fatal(err)
		}
		var records []any
		for i := 3; i < 20; i++ {
			records = append(records, map[string]any{
				"id": fmt.Sprintf("open-%03d", i), "user_id": "b", "time": 1785315688, "external_user_id": goavro.Union("string", fmt.Sprintf("cus-%d", i%7)),
			})
		}
		if err := w.Append(records); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		client, err := registry.New(registry.Config{URL: r.Places().Registry})
		if err != nil {
			t.Fatal(err)
		}
		ids, err := topics.Prepare(t.Context(), r.kafka, client, schema.BrazeEngagements)
		if err != nil {
			t.Fatal(err)
		}
		producer, err := stream.NewProducer(r.kafka, stream.ProducerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		for range 2 {
			report, err := backfill.Write(t.Context(), backfill.Order{Path: filepath.Dir(filepath.Dir(folder)), Workspace: "eu"}, backfill.Target{
				Producer: producer, Topic: r.kafka.Topic(schema.BrazeEngagements), SchemaID: ids[schema.BrazeEngagements],
			})
			if err != nil || report.Sent != 17 {
				t.Fatalf("%+v, %v", report, err)
			}
		}
		await(t, "everything is settled", func() bool {
			s := r.Law().Sinks
			return s.Held == 0 && s.Accepted == 2*(5+2*17)
		})
		if got := r.Sandbox().Collected(0); got.Events != 20 || got.Distinct != 20 {
			t.Errorf("the far end has %+v", got)
		}
	})
}

func TestAFormThatIsFilledInBecomesAnAction(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, append(c.environ, "SANDBOX_CURRENTS=true", "SANDBOX_MARKETING=0")...), pipeline.Options{})
		body := `{"name":"shoe-form","user":"cus-1","body":{"external_id":"cus-1","event_id":"f-1","shoe_size":42,"ref":820982911946154508}}`
		await(t, "the sandbox is connected", func() bool { _, ok := r.Sandbox().CurrentsReport("", 0); return ok })
		for range 2 { // Braze sends it once more where it has not heard of the first
			resp, err := http.Post(r.Places().Sandbox+"/_sandbox/webhooks", "application/json", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusAccepted {
				t.Fatalf("the sandbox answers %s", resp.Status)
			}
		}
		await(t, "the form is at the far end", func() bool { return r.Sandbox().Collected(0).Types["action.shoe-form"] == 1 })
		client, err := registry.New(registry.Config{URL: r.Places().Registry})
		if err != nil {
			t.Fatal(err)
		}
		decoder := avro.NewActionDecoder(avro.FromRegistry(client))
		for _, rec := range r.read(schema.BrazeActions) {
			var a event.Action
			if _, err := decoder.Decode(t.Context(), rec.Value, &a); err != nil {
				t.Fatal(err)
			}
			if string(rec.Key) != "cus-1" || a.ID != "f-1" || a.Name != "shoe-form" || !strings.Contains(string(a.JSON), "820982911946154508") {
				t.Errorf("the action is %+v", a)
			}
		}
	})
}

// receiver is a far end that takes one event a request, and refuses those that it is told to refuse.
type receiver struct {
	mu     sync.Mutex
	taken  []string // ids
	refuse string   // a piece of the body
}

func (f *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil || f.refuse != "" && strings.Contains(string(body), f.refuse) {
		http.Error(w, "I do not like it", http.StatusUnprocessableEntity)
		return
	}
	f.taken = append(f.taken, regexp.MustCompile(`open-\d+`).FindString(string(body)))
}

func (f *receiver) has() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(slices.Values(f.taken))
}

func TestWhatOneSinkRefusedGoesBackToItAloneOnceItsCauseIsGone(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		picky, easy := &receiver{refuse: "open-002"}, &receiver{}
		var text strings.Builder
		text.WriteString("sinks:\n")
		for name, far := range map[string]*receiver{"picky": picky, "easy": easy} {
			server := httptest.NewServer(far)
			t.Cleanup(server.Close)
			fmt.Fprintf(&text, "  - {name: %s, kind: http, batch: {linger: 10ms}, http: {url: %q, format: single}}\n", name, server.URL)
		}
		file := filepath.Join(t.TempDir(), "sinks.yaml")
		if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, load(t, append(c.environ, "SINKS_FILE="+file)...), pipeline.Options{})
		r.report(0, 5)
		all := []string{"open-000", "open-001", "open-002", "open-003", "open-004"}
		await(t, "the easy one has all, and the picky one what it likes", func() bool { return len(easy.has()) == 5 && len(picky.has()) == 4 })
		site := r.site()
		await(t, "the letter is written and settled", func() bool { return r.Law().Sinks.Refused == 1 && r.sinkLag(site, "picky") == 0 })

		list, err := deadletters.Group(t.Context(), site, deadletters.Filter{})
		if err != nil || len(list.Causes) != 1 || list.Causes[0].Sink != "picky" || list.Causes[0].Open != 1 {
			t.Fatalf("the causes are %+v, %v", list, err)
		}
		picky.mu.Lock()
		picky.refuse = ""
		picky.mu.Unlock()
		for _, want := range []int{1, 0} {
			plan, err := deadletters.Make(t.Context(), site, deadletters.Filter{Sink: "picky"})
			if err != nil {
				t.Fatal(err)
			}
			done, err := plan.Do(t.Context(), r.marker(), func(int, int) {})
			if err != nil || done.Replayed != want {
				t.Fatalf("%d went back, want %d: %v", done.Replayed, want, err)
			}
		}
		await(t, "the picky one has it, too", func() bool { return len(picky.has()) == 5 })
		await(t, "both have passed the retries", func() bool { return r.sinkLag(site, "picky")+r.sinkLag(site, "easy") == 0 })
		for name, far := range map[string]*receiver{"picky": picky, "easy": easy} {
			if diff := cmp.Diff(all, far.has()); diff != "" {
				t.Errorf("%s has (-want +got):\n%s", name, diff)
			}
		}
	})
}

// sinkLag is how many records a sink of SINKS_FILE has yet to settle.
func (r *rig) sinkLag(site *replay.Cluster, name string) int64 {
	r.t.Helper()
	return r.sink(site, name).Lag
}

// marker opens the dead letters of a service.
func (r *rig) marker() deadletters.Marker {
	return func(service string) (*deadletter.Writer, error) {
		client, err := registry.New(registry.Config{URL: r.Places().Registry})
		if err != nil {
			return nil, err
		}
		topic, _ := schema.Find(schema.DeadLetters(service))
		id, err := client.Register(r.t.Context(), schema.Subject(r.kafka.Topic(topic.Name)), topic.Text())
		if err != nil {
			return nil, err
		}
		return deadletter.Open(r.kafka, service, id)
	}
}

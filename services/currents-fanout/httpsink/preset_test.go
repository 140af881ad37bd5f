package httpsink

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// odd are events at the edges: of somebody without an external id, of a Canvas, with things missing; and
// a webhook.
func odd() []*sink.Event {
	at, came := time.Unix(1785229200, 0), time.Unix(1785229201, 250_000_000)
	anonymous := &sink.Event{
		ID: "b7a6958c-4d3e-42f1-a0b9-c8d7e6f5a4b3", Type: "users.canvas.Entry", Key: "braze_id:66a1f0c2b7e4d90012ab34ff", OccurredAt: at, ReceivedAt: came,
		Engagement: &event.Engagement{User: event.User{BrazeID: "66a1f0c2b7e4d90012ab34ff"}},
		JSON: []byte(`{"event_type":"users.canvas.Entry","id":"b7a6958c-4d3e-42f1-a0b9-c8d7e6f5a4b3","time":1785229200,"user":{"user_id":"66a1f0c2b7e4d90012ab34ff"},` +
			`"properties":{"canvas_id":"9b1f","canvas_variation_id":"v1","canvas_step_id":null,"slots":[9,10],"note":"a \"quoted\" ☂"}}`),
		Topic: "braze.engagements",
	}
	action := &sink.Event{
		ID: "form/48213", Type: "action.form", Key: "crm-0001", OccurredAt: at, ReceivedAt: came,
		Action: &event.Action{User: event.User{ExternalID: "crm-0001"}},
		JSON:   []byte(`{"event_type":"action.form","id":"form/48213","time":1785229200,"user":{"external_user_id":"crm-0001"},"payload":{"size":9007199254740993}}`),
		Topic:  "braze.actions",
	}
	return []*sink.Event{anonymous, action}
}

var presetExamples = map[string]Options{
	"clickhouse": {Preset: "clickhouse", Table: "analytics.braze_events", Auth: Auth{Scheme: "basic", Username: "sluice", Secret: "pass"}},
	"bigquery":   {Preset: "bigquery", Auth: Auth{Scheme: "bearer", Secret: "token"}},
	"segment":    {Preset: "segment", Key: "write-key"},
	"posthog":    {Preset: "posthog", Key: "phc_key"},
}

// The golden files are what each receiver gets: a reader of its documentation can compare.
func TestPresets(t *testing.T) {
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			far := serve(t, always(200, ""))
			o := presetExamples[name]
			o.URL = far.URL + "/path"
			a := open(t, o).Write(t.Context(), append(engagements(2), odd()...))
			if diff := cmp.Diff(times(4, "delivered"), fates(a, 4)); diff != "" {
				t.Error(diff)
			}
			all := far.got()
			if len(all) != 1 {
				t.Fatalf("%d requests", len(all))
			}
			golden(t, filepath.Join("testdata", "preset", name+".http"), all[0].show())
		})
	}
}

func TestWhatSomebodySaysStandsOverThePreset(t *testing.T) {
	far := serve(t, always(200, ""))
	o := Options{
		Preset: "clickhouse", URL: far.URL, Table: "t", Template: `{id: $id}`, MaxEvents: 1,
		Query: map[string]config.Secret{"query": "INSERT INTO t (id) FORMAT JSONEachRow", "async_insert": "1"},
	}
	if a := open(t, o).Write(t.Context(), engagements(1)); a.All.Kind != outcome.Delivered {
		t.Fatal(a)
	}
	golden(t, filepath.Join("testdata", "preset", "clickhouse_own.http"), far.got()[0].show())
}

func TestSegmentGetsNobodysEventRefused(t *testing.T) {
	far := serve(t, always(200, ""))
	batch := engagements(2)
	batch[0].Engagement = &event.Engagement{}
	a := open(t, Options{Preset: "segment", URL: far.URL, Key: "k"}).Write(t.Context(), batch)
	if diff := cmp.Diff([]string{"refused template_error", "delivered"}, fates(a, 2)); diff != "" {
		t.Error(diff)
	}
}

func TestSegmentsLimitsAreKept(t *testing.T) {
	far := serve(t, always(200, `{"success":true}`))
	batch := engagements(3000)
	batch[7].JSON = []byte(`{"properties":{"x":"` + string(make32K()) + `"}}`)
	a := open(t, Options{Preset: "segment", URL: far.URL, Key: "k"}).Write(t.Context(), batch)
	if a.Of(7).Kind != outcome.Refused || a.Of(8).Kind != outcome.Delivered {
		t.Error(a.Of(7), a.Of(8))
	}
	events := 0
	for _, r := range far.got() {
		var body struct{ Batch []json.RawMessage }
		if err := json.Unmarshal(r.body, &body); err != nil {
			t.Fatal(err)
		}
		if len(r.body) > 500_000 || len(body.Batch) > 2500 {
			t.Errorf("%d bytes, %d events", len(r.body), len(body.Batch))
		}
		events += len(body.Batch)
	}
	if events != 2999 {
		t.Errorf("%d events", events)
	}
}

func make32K() []byte {
	text := make([]byte, 32<<10)
	for i := range text {
		text[i] = 'x'
	}
	return text
}

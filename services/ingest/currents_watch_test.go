package ingest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// series are the values of a metric by its labels, in the order of their names.
func (d *door) series(t *testing.T, name string) map[string]float64 {
	t.Helper()
	families, err := d.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() != "sluice_ingest_currents_"+name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[strings.Join(labels, " ")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return got
}

func TestTheWatchKnowsHowLongBrazeHasBeenRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		d := &door{Service: &Service{currents: &currentsDoor{}}, metrics: prometheus.NewRegistry()}
		w := newCurrentsWatch(d.metrics, zerolog.New(&log))
		d.currents.watch = w
		answer := func(err error, items int) { w.space("eu-retail").answered(err, items, time.Now()) }
		is := func(metric string, want float64) {
			t.Helper()
			if diff := cmp.Diff(map[string]float64{"eu-retail": want}, d.series(t, metric)); diff != "" {
				t.Errorf("%s (-want +got)\n%s", metric, diff)
			}
		}
		const day = 24 * 60 * 60
		answer(nil, 100)
		is("refusing_since_timestamp_seconds", 0)
		is("cutoff_seconds_left", 5*day)

		since := float64(time.Now().Unix())
		answer(errKafkaAway, 100)
		pass(48 * time.Hour)
		answer(errBusy, 0)
		answer(nil, 0) // no batch with events, and so no sign that any would be taken
		answer(errTooLarge(1), 0)
		is("refusing_since_timestamp_seconds", since)
		is("cutoff_seconds_left", 3*day)
		away := errors.New("no broker answers")
		if err := d.ready(func(context.Context) error { return away })(t.Context()); !errors.Is(err, away) || !strings.Contains(err.Error(), "eu-retail refused for 48h0m0s, 72h0m0s until") {
			t.Errorf("readiness says %v", err)
		}
		if err := d.ready(func(context.Context) error { return nil })(t.Context()); err != nil {
			t.Errorf("being refused is a reason to be taken out of service: %v", err)
		}
		pass(96 * time.Hour)
		is("cutoff_seconds_left", 0)

		answer(nil, 1)
		is("refusing_since_timestamp_seconds", 0)
		is("cutoff_seconds_left", 5*day)
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("there are %d lines, not one at each end:\n%s", n, log.String())
		}
		want := map[string]float64{"accepted eu-retail": 2, "empty eu-retail": 1, "refused eu-retail": 2, "too_large eu-retail": 1}
		if diff := cmp.Diff(want, d.series(t, "batches_total")); diff != "" {
			t.Errorf("batches (-want +got)\n%s", diff)
		}
	})
}

// pass lets the time of a bubble pass.
func pass(d time.Duration) { <-time.After(d) }

func TestTheWatchCountsByWorkspaceAndType(t *testing.T) {
	d := brazeDoor(t, "", nil)
	d.report(batchOf(opened("1", "u"), opened("2", "u"), `{"event_type":"new.Kind","id":"3","time":4102444800}`, "17"))
	d.report(batchOf(opened("1", "u")))
	d.ask("POST", "/v1/braze/currents", batchOf(opened("1", "v"), opened("4", "v")), "Authorization", "Bearer 0ld.t0k3n")
	d.shelf.fail = func(int) error { return errors.New("away") }
	d.report(batchOf(opened("6", "u")))
	if since := d.series(t, "refusing_since_timestamp_seconds")["eu-retail"]; since < float64(time.Now().Unix()-60) {
		t.Errorf("refusing since %g", since)
	}
	d.ask("POST", "/v1/braze/currents?ws=mallory", batchOf(opened("5", "v")), "Authorization", "Bearer wrong")
	d.report(strings.Repeat(" ", 20_000_001))
	want := map[string]float64{"users.messages.email.Open eu-retail": 2, "new.Kind eu-retail": 1, "users.messages.email.Open none": 1}
	if diff := cmp.Diff(want, d.series(t, "events_total")); diff != "" {
		t.Errorf("events (-want +got)\n%s", diff)
	}
	want = map[string]float64{"accepted eu-retail": 2, "refused eu-retail": 1, "too_large eu-retail": 1, "accepted none": 1, "unauthorized unknown": 1}
	if diff := cmp.Diff(want, d.series(t, "batches_total")); diff != "" {
		t.Errorf("batches (-want +got)\n%s", diff)
	}
	newest := d.series(t, "newest_event_timestamp_seconds")
	if at := newest["eu-retail"]; at > float64(time.Now().Unix()+1) || newest["none"] != 1700000000 {
		t.Errorf("a date in the future counts: %v", newest)
	}
}

func TestLabelsAreBounded(t *testing.T) {
	d := brazeDoor(t, "", nil)
	for i := range 200 {
		d.ask("POST", fmt.Sprintf("/v1/braze/currents?ws=w%d", i), batchOf(
			fmt.Sprintf(`{"event_type":"new.Kind%d","id":"%d","time":1}`, i, i),
			fmt.Sprintf(`{"event_type":"users.messages.email.Open","id":"o%d","time":1,"user":{},"properties":{"a%d":1,"b%d":1,"c%d":1}}`, i, i, i, i),
		), "Authorization", "Bearer t0k3n")
	}
	d.report(batchOf(`{"event_type":"` + strings.Repeat("x", 10_000) + `","id":"long","time":1}`))
	d.report(batchOf(`{"event_type":"a\nb","id":"lines","time":1}`))
	if n := len(d.series(t, "newest_received_timestamp_seconds")); n != maxSpaces+1 {
		t.Errorf("%d workspaces", n)
	}
	types := map[string]bool{}
	sum := 0.0
	for labels, n := range d.series(t, "events_total") {
		name, _, _ := strings.Cut(labels, " ")
		types[name] = true
		sum += n
	}
	if len(types) != maxUnknownTypes+2 || !types[otherLabel] || sum != 402 {
		t.Errorf("%d types, of %g events", len(types), sum)
	}
	drifts := d.series(t, "drift_total")
	sum = 0
	for _, n := range drifts {
		sum += n
	}
	if len(drifts) > maxDriftLabels+3 || sum < 800 {
		t.Errorf("%d drifts, of %g", len(drifts), sum)
	}
}

func TestADriftIsToldOnceAndCountedAlways(t *testing.T) {
	d := brazeDoor(t, "", nil)
	var log bytes.Buffer
	d.currents.drifts.log = zerolog.New(&log)
	for i := range 3 {
		d.report(batchOf(
			fmt.Sprintf(`{"event_type":"users.messages.email.Open","id":"a%d","time":1,"user":{"user_id":"secret-%d"},"properties":{"brand_new":{"x":"secret"},"campaign_id":7}}`, i, i),
			fmt.Sprintf(`{"event_type":"users.Elsewhere","id":"b%d","time":1}`, i),
		))
	}
	want := map[string]float64{
		"users.messages.email.Open properties.brand_new unknown_field": 3,
		"users.messages.email.Open properties.campaign_id other_kind":  3,
		"users.Elsewhere  unknown_type":                                3,
	}
	if diff := cmp.Diff(want, d.series(t, "drift_total")); diff != "" {
		t.Errorf("drifts (-want +got)\n%s", diff)
	}
	if text := log.String(); strings.Count(text, "\n") != 3 || strings.Contains(text, "secret") {
		t.Errorf("the log says\n%s", text)
	}
}

func TestOfManyEventsSomeAreLookedAt(t *testing.T) {
	b := newDriftBook(prometheus.NewRegistry(), zerolog.Nop())
	now := time.Unix(1_700_000_000, 0)
	for _, c := range []struct {
		name   string
		after  time.Duration
		events int
		want   bool
	}{
		{"few", 0, lookedAtEach, false},
		{"one too many", 0, 1, true},
		{"the next second", time.Second, lookedAtEach, false},
		{"more at once", 2 * time.Second, lookedAtEach + 1, true},
	} {
		if got := b.busy(now.Add(c.after), c.events); got != c.want {
			t.Errorf("%s: busy is %v", c.name, got)
		}
	}
	d := brazeDoor(t, "", nil)
	var events []string
	for i := range 8_000 {
		events = append(events, fmt.Sprintf(`{"event_type":"new.Kind","id":"%d","time":1}`, i))
	}
	d.report(batchOf(events...))
	if n := d.series(t, "drift_total")["new.Kind  unknown_type"]; n != 1_000 {
		t.Errorf("%g of 8,000 are counted", n)
	}
}

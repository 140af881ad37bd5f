package deadletters_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/deadletters"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
)

// retry is a record that a sink is to try once more.
type retry struct{ Sink, Topic, Key, Of string }

func retries(c *replaytest.Cluster) (list []retry) {
	for _, r := range c.Records(schema.Retries(replaytest.Fanout)) {
		list = append(list, retry{valueOf(r.Headers, "sink"), valueOf(r.Headers, "origin-topic"), string(r.Key), valueOf(r.Headers, replay.Header)})
	}
	return list
}

// valueOf is a header's value, and a complaint where there are two of its name.
func valueOf(headers []stream.Header, name string) string {
	found := ""
	for _, h := range headers {
		switch {
		case h.Key == name && found != "":
			return found + " and " + string(h.Value)
		case h.Key == name:
			found = string(h.Value)
		}
	}
	return found
}

func sinksAt(t *testing.T, c *replaytest.Cluster, sinks ...string) {
	t.Helper()
	for _, sink := range sinks {
		for _, name := range []string{schema.BrazeEngagements, schema.Retries(replaytest.Fanout)} {
			topic := c.Kafka.Topic(name)
			extents, err := c.Admin.Extents(t.Context(), topic)
			if err != nil {
				t.Fatal(err)
			}
			ends := map[int32]int64{}
			for n, e := range extents {
				ends[n] = e.End
			}
			if err := c.Admin.MoveOffsets(t.Context(), c.Kafka.Group(replaytest.Fanout+"."+sink), topic, ends); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestWhatASinkGaveUpGoesBackToThatSinkAlone(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	at := c.Engagement("cus-1", "e-1")
	c.SinkLetter(at, "warehouse", "e-1", "rejected")
	c.SinkLetter(at, "collector", "e-1", "rejected")
	c.SinkLetter(at, "collector", "e-1", "rejected") // the replica died before it had settled the record
	sinksAt(t, c, "warehouse", "collector")

	mustReplay(t, c, deadletters.Filter{Sink: "collector"}, 1)
	want := []retry{{"collector", schema.BrazeEngagements, "cus-1", at.String()}}
	if diff := cmp.Diff(want, retries(c)); diff != "" {
		t.Fatalf("the retries (-want +got):\n%s", diff)
	}
	list, err := deadletters.Group(t.Context(), c.Cluster, deadletters.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]int{}
	for _, cause := range list.Causes {
		open[cause.Sink] += cause.Open
	}
	if diff := cmp.Diff(map[string]int{"collector": 0, "warehouse": 1}, open); diff != "" {
		t.Errorf("letters still open (-want +got):\n%s", diff)
	}
	mustReplay(t, c, deadletters.Filter{Service: replaytest.Fanout}, 1)
	mustReplay(t, c, deadletters.Filter{Service: replaytest.Fanout}, 0)
	if got := retries(c); len(got) != 2 {
		t.Errorf("%+v", got)
	}
	if len(c.Records(schema.BrazeEngagements)) != 1 {
		t.Error("every other sink would get it again")
	}
}

func TestWhatFailsOnceMoreCanGoBackOnceMore(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	at := c.Engagement("cus-1", "e-1")
	c.SinkLetter(at, "warehouse", "e-1", "rejected")
	sinksAt(t, c, "warehouse")
	mustReplay(t, c, deadletters.Filter{Sink: "warehouse"}, 1)
	again := replay.PlaceOf(c.Records(schema.Retries(replaytest.Fanout))[0])
	l := c.SinkLetter(again, "warehouse", "e-1", "rejected")
	sinksAt(t, c, "warehouse")
	mustReplay(t, c, deadletters.Filter{IDs: []replay.Place{l}}, 1)
	got := retries(c)
	if len(got) != 2 || got[1].Topic != schema.BrazeEngagements || got[1].Sink != "warehouse" {
		t.Errorf("the retries are %+v", got)
	}
}

func TestALetterWhoseRecordIsStillComeToStays(t *testing.T) {
	t.Parallel()
	c := replaytest.Start(t)
	at := c.Engagement("cus-1", "e-1")
	c.SinkLetter(at, "warehouse", "e-1", "rejected")
	group := c.Kafka.Group(replaytest.Fanout + ".warehouse")
	if err := c.Admin.MoveOffsets(t.Context(), group, at.Topic, map[int32]int64{at.Partition: at.Offset}); err != nil {
		t.Fatal(err)
	}
	p, err := deadletters.Make(t.Context(), c.Cluster, deadletters.Filter{Sink: "warehouse"})
	if err != nil || len(p.Items) != 1 || p.Items[0].Verdict != deadletters.Held {
		t.Errorf("%+v, %v", p, err)
	}
}

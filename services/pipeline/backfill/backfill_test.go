package backfill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/backfill"
	"github.com/sluicehq/sluice/services/pipeline/replay/replaytest"
)

// clickSchema is what Braze's files of clicks begin with, less what does not matter here.
const clickSchema = `{"type":"record","name":"Click","namespace":"dataexport.S3.inner.users.messages.email","fields":[
	{"name":"id","type":"string"},{"name":"user_id","type":"string"},{"name":"external_user_id","type":["null","string"],"default":null},
	{"name":"time","type":"int"},{"name":"campaign_id","type":["null","string"],"default":null},{"name":"email_address","type":"string"},
	{"name":"url","type":["null","string"],"default":null}]}`

// write puts a file of clicks where Braze puts one, and returns its path.
func write(t *testing.T, root, typ, hour string, ids ...string) string {
	t.Helper()
	folder := filepath.Join(root, "dataexport.prod-01.S3.integration.1", "event_type="+typ, "date="+hour, "version=10", "prod")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "dataexport+0+"+ids[0]+".avro")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w, err := goavro.NewOCFWriter(goavro.OCFConfig{W: f, Schema: clickSchema})
	if err != nil {
		t.Fatal(err)
	}
	var records []any
	for i, id := range ids {
		records = append(records, map[string]any{
			"id": id, "user_id": "b-1", "external_user_id": goavro.Union("string", "cus-1"), "time": 1785315688 + i,
			"campaign_id": goavro.Union("string", "spring"), "email_address": "a@example.org", "url": nil,
		})
	}
	if err := errors.Join(w.Append(records), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// target is a cluster to write to.
func target(t *testing.T) (*replaytest.Cluster, backfill.Target) {
	t.Helper()
	c := replaytest.Start(t)
	producer, err := stream.NewProducer(c.Kafka, stream.ProducerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(producer.Close)
	return c, backfill.Target{Producer: producer, Topic: c.Kafka.Topic(schema.BrazeEngagements), SchemaID: replaytest.ID(schema.BrazeEngagements)}
}

// written are the engagements on the topic.
func written(t *testing.T, c *replaytest.Cluster) (list []event.Engagement) {
	t.Helper()
	decoder := avro.NewEngagementDecoder(c.Schemas)
	for _, r := range c.Records(schema.BrazeEngagements) {
		var e event.Engagement
		if _, err := decoder.Decode(t.Context(), r.Value, &e); err != nil {
			t.Fatal(err)
		}
		if string(r.Key) != "cus-1" || len(r.Headers) != 4 || string(r.Headers[0].Value) != e.ID || string(r.Headers[1].Value) != "currents-backfill" {
			t.Errorf("the record of %s has the key %s and the headers %+v", e.ID, r.Key, r.Headers)
		}
		list = append(list, e)
	}
	return list
}

func ids(events []event.Engagement) []string {
	list := []string{}
	for _, e := range events {
		list = append(list, e.ID)
	}
	return list
}

func TestFilesAreReadHourByHourAndTheirEventsWritten(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, "users.messages.email.Click", "2026-07-29-10", "c-3")
	write(t, root, "users.messages.email.Click", "2026-07-29-09", "c-1", "c-2")
	write(t, root, "users.messages.email.Open", "2026-07-29-10", "o-1")
	if err := os.WriteFile(filepath.Join(root, "notes.txt"), []byte("no Avro"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, to := target(t)
	o := backfill.Order{Path: root, Workspace: "eu-retail"}

	report, err := backfill.Count(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	want := backfill.Report{
		Files: 3, Done: 3, Events: 4, Types: map[string]int{"users.messages.email.Click": 3, "users.messages.email.Open": 1},
		First: time.Unix(1785315688, 0).UTC(), Last: time.Unix(1785315689, 0).UTC(), Bad: []backfill.Bad{},
	}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Errorf("the dry run (-want +got):\n%s", diff)
	}
	if n := len(written(t, c)); n > 0 {
		t.Fatalf("the dry run has written %d events", n)
	}
	if report, err = backfill.Write(t.Context(), o, to); err != nil || report.Sent != 4 {
		t.Fatalf("%+v, %v", report, err)
	}
	events := written(t, c)
	if diff := cmp.Diff([]string{"c-1", "c-2", "c-3", "o-1"}, ids(events)); diff != "" {
		t.Errorf("in the order of the topic (-want +got):\n%s", diff)
	}
	first := events[0]
	if first.Type != "users.messages.email.Click" || first.Workspace != "eu-retail" || first.User.BrazeID != "b-1" || first.CampaignID != "spring" ||
		!first.OccurredAt.Equal(time.Unix(1785315688, 0)) || time.Since(first.ReceivedAt) > time.Minute || !first.ReceivedAt.Equal(events[1].ReceivedAt) {
		t.Errorf("%+v", first)
	}
}

func TestACheckpointLeavesOutTheFilesThatAreDone(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write(t, root, "users.messages.email.Click", "2026-07-29-09", "c-1", "c-2")
	c, to := target(t)
	o := backfill.Order{Path: root, Checkpoint: filepath.Join(t.TempDir(), "done.jsonl")}
	if _, err := backfill.Count(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(o.Checkpoint); err == nil {
		t.Error("a dry run has left a checkpoint")
	}
	if report, err := backfill.Write(t.Context(), o, to); err != nil || report.Sent != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	// A crash in the middle of a line leaves half of it.
	text, err := os.ReadFile(o.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(o.Checkpoint, append(text, `{"file":"/half`...), 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, root, "users.messages.email.Click", "2026-07-29-10", "c-3")
	report, err := backfill.Write(t.Context(), o, to)
	if err != nil || report.Sent != 1 || report.Known != 1 || report.Files != 1 {
		t.Fatalf("%+v, %v", report, err)
	}
	if report, err = backfill.Write(t.Context(), o, to); err != nil || report.Sent != 0 || report.Known != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	if diff := cmp.Diff([]string{"c-1", "c-2", "c-3"}, ids(written(t, c))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	o.Checkpoint = filepath.Join(root, "notes.txt")
	for _, text := range []string{"dear diary\n", "dear diary", "{}"} { // whether or not its line is whole
		if err := os.WriteFile(o.Checkpoint, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := backfill.Write(t.Context(), o, to)
		if left, _ := os.ReadFile(o.Checkpoint); err == nil || string(left) != text {
			t.Errorf("a file that is no checkpoint is written over: %q became %q, %v", text, left, err)
		}
	}
}

func TestAFileThatEndsEarlyIsNamedAndTheOthersAreRead(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	cut := write(t, root, "users.messages.email.Click", "2026-07-29-09", "c-1", "c-2")
	whole, err := os.ReadFile(cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cut, whole[:len(whole)-20], 0o600); err != nil {
		t.Fatal(err)
	}
	write(t, root, "users.messages.email.Click", "2026-07-29-10", "c-3")
	c, to := target(t)
	o := backfill.Order{Path: root, Checkpoint: filepath.Join(t.TempDir(), "done.jsonl")}
	for n := range 2 {
		report, err := backfill.Write(t.Context(), o, to)
		if err != nil || len(report.Bad) != 1 || report.Bad[0].File != cut || report.Known != n {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	if got := ids(written(t, c)); got[len(got)-1] != "c-3" {
		t.Errorf("%v were written", got)
	}
}

func TestAnInterruptedBackfillHasWrittenWhatItSays(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for hour := range 20 {
		write(t, root, "users.messages.email.Click", fmt.Sprintf("2026-07-29-%02d", hour), fmt.Sprintf("c-%02d", hour))
	}
	c, to := target(t)
	ctx, stop := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	o := backfill.Order{Path: root, Checkpoint: filepath.Join(t.TempDir(), "done.jsonl"), Rate: quota.Rate{Count: 10_000, Per: time.Second}}
	o.Progress = func(r backfill.Report) {
		if r.Events == 7 {
			stop(enough)
		}
	}
	report, err := backfill.Write(ctx, o, to)
	if !errors.Is(err, enough) {
		t.Fatalf("it ends with %v", err)
	}
	if n := len(written(t, c)); n != report.Sent || n != 7 {
		t.Errorf("%d are on the topic, it says %d", n, report.Sent)
	}
	o.Progress = nil
	if report, err = backfill.Write(t.Context(), o, to); err != nil || report.Known != 7 || report.Sent != 13 {
		t.Errorf("the rest: %+v, %v", report, err)
	}
}

func TestWhatIsNamedByAPath(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	one := write(t, root, "users.messages.email.Click", "2026-07-29-09", "c-1")
	write(t, root, "users.messages.email.Open", "2026-07-29-09", "o-1")
	for _, c := range []struct {
		name, path string
		events     int // -1 for an error
	}{
		{"a file", one, 1},
		{"a folder", root, 2},
		{"a pattern", filepath.Join(root, "*", "event_type=users.messages.email.*"), 2},
		{"a narrower one", filepath.Join(root, "*", "event_type=*Open"), 1},
		{"nothing", filepath.Join(root, "none"), -1},
		{"a folder without a file", t.TempDir(), -1},
		{"no pattern", "[", -1},
	} {
		report, err := backfill.Count(t.Context(), backfill.Order{Path: c.path})
		if (err != nil) != (c.events < 0) || err == nil && report.Events != c.events {
			t.Errorf("%s: %d events, %v", c.name, report.Events, err)
		}
	}
}

package contentcacher_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	contentcacher "github.com/sluicehq/sluice/services/content-cacher"
	"github.com/sluicehq/sluice/services/content-cacher/larder"
)

// TestWhatChangesWhileTheCopyIsMadeIsInIt changes items as soon as the service is ready, when everything is still being
// copied to the disk, and starts it without Kafka then.
func TestWhatChangesWhileTheCopyIsMadeIsInIt(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, broker.Brokers())
	const items = 3000
	var records, changes []*stream.Record
	for i := range items {
		records = append(records, s.item(fmt.Sprint(i), fmt.Sprintf("text %d", i)))
		switch i % 50 {
		case 0:
			changes = append(changes, s.item(fmt.Sprint(i), "changed"))
		case 1:
			changes = append(changes, &stream.Record{Key: records[i].Key})
		case 2:
			changes = append(changes, s.item(fmt.Sprint(i), "", func(c *event.Content) { c.Withdraws, c.Approved = true, false }))
		}
	}
	records = append(records, s.item("withdrawn", "long ago"), s.item("withdrawn", "", func(c *event.Content) { c.Withdraws, c.Approved = true, false }))
	s.write(records...)
	r := s.start()
	r.ready()
	s.write(changes...)
	all := float64(len(records) + len(changes))
	r.settled(tally{accepted: all, delivered: all})
	r.await("the changes are served", func() bool { return r.get("banners/2950").Text == "changed" && r.get("banners/2952").code == 404 })
	r.await("it is copied to the disk", func() bool { return r.gauge("sluice_content_copying") == 0 })
	r.stop()
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	r = s.start()
	r.ready()
	for i := range items {
		want := answer{code: 200, Text: fmt.Sprintf("text %d", i)}
		switch i % 50 {
		case 0:
			want.Text = "changed"
		case 1, 2:
			want = answer{code: 404}
		}
		got := r.get(fmt.Sprintf("banners/%d", i))
		if want.age = got.age; got != want || got.age == "" {
			t.Fatalf("item %d: %+v, want %+v", i, got, want)
		}
	}
	if got := r.get("banners/withdrawn"); got.code != 404 {
		t.Errorf("what was withdrawn before: %+v", got)
	}
}

// TestACopyThatIsNotCompleteIsNotServed leaves one behind as a process does that ends while it is made.
func TestACopyThatIsNotCompleteIsNotServed(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, broker.Brokers())
	s.write(s.item("a", "all of it"))
	l, err := larder.Open(filepath.Join(s.config.State.Dir, contentcacher.Name), zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Restart("a topic"); err != nil {
		t.Fatal(err)
	}
	part := s.item("a", "a part")
	if err := l.Add(part.Key, append([]byte{0, 0, 0, 0, 1}, part.Value[5:]...)); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	addr := s.config.Kafka.Brokers
	s.config.Kafka.Brokers = []string{"127.0.0.1:1"}
	r := s.start()
	<-time.After(4 * s.config.Content.Patience)
	if len(r.health.Failing(t.Context())) == 0 || r.get("banners/a").code != 404 {
		t.Error("a part of the content is served as if it were all")
	}
	r.stop()
	s.config.Kafka.Brokers = addr
	r = s.start()
	r.ready()
	if got := r.get("banners/a"); got.Text != "all of it" {
		t.Errorf("%+v", got)
	}
	t.Cleanup(func() { _ = broker.Close() })
}

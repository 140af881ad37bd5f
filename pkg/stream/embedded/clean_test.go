package embedded_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// kfake alone starts its cleaner only when a topic is created or altered, so never after a restart.
func TestRetentionAndCompactionGoOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	first := start(t, embedded.Config{Dir: dir})
	create(t, first, 1, "orders", "retention.ms=3600000")
	create(t, first, 1, "profiles", "cleanup.policy=compact")
	cl := dial(t, first)
	old := time.Now().Add(-2 * time.Hour)
	for i := range 3 {
		for _, r := range []*kgo.Record{
			{Topic: "orders", Timestamp: old, Value: fmt.Append(nil, i)},
			{Topic: "profiles", Key: []byte("k"), Value: fmt.Append(nil, i)},
		} {
			if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce(t, cl, "orders", "new")
	cl.Close()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, embedded.Config{Dir: dir, CleanEvery: 10 * time.Millisecond})
	admin := kadm.NewClient(dial(t, second))
	until(t, "the old orders and the superseded profile to be gone", func() bool {
		starts, err := admin.ListStartOffsets(t.Context(), "orders", "profiles")
		if err != nil {
			t.Fatal(err)
		}
		orders, _ := starts.Lookup("orders", 0)
		profiles, _ := starts.Lookup("profiles", 0)
		return orders.Offset == 3 && profiles.Offset == 1
	})
	// The last batch of a partition is never compacted; of the two before it one is superseded.
	reader := dial(t, second, kgo.ConsumeTopics("profiles"))
	if diff := cmp.Diff([]string{"1", "2"}, read(t, reader, 2)); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
}

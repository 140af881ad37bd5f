package stream

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// resumer lets the records of whatever is assigned come at once.
type resumer struct {
	TransactHandler
	t *Transactor
}

func (r *resumer) Assigned(parts map[string][]int32) {
	for _, numbers := range parts {
		r.t.Resume(numbers...)
	}
}

func (r *resumer) Revoked() {}

// TestWhatIsResumedWhileTheClientIsMadeIsNotPausedForEver: the client joins its group before its constructor has
// returned, so that partitions may be there before anybody has been given it; or a session's end has left another.
func TestWhatIsResumedWhileTheClientIsMadeIsNotPausedForEver(t *testing.T) {
	client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r := &resumer{}
	if r.t, err = NewTransactor(Config{Brokers: []string{"127.0.0.1:1"}, Compression: "lz4"}, TransactorOptions{Group: "g", Topics: []string{"in"}}, r); err != nil {
		t.Fatal(err)
	}
	r.t.onAssigned(t.Context(), client, map[string][]int32{"in": {0, 1}})
	if paused := client.PauseFetchPartitions(nil); len(paused["in"]) > 0 {
		t.Errorf("still paused: %v", paused)
	}
}

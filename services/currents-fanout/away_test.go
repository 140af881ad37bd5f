package currentsfanout_test

import (
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// detour is an address at which Kafka is found once it is opened.
type detour struct {
	t    *testing.T
	addr string
}

func newDetour(t *testing.T) *detour {
	t.Helper()
	taken, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	return &detour{t, taken.Addr().String()}
}

// open leads whoever asks there to the broker.
func (d *detour) open(to string) {
	d.t.Helper()
	listener, err := new(net.ListenConfig).Listen(d.t.Context(), "tcp", d.addr)
	if err != nil {
		d.t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() { d.join(in, to) })
		}
	})
	d.t.Cleanup(func() { _ = listener.Close(); all.Wait() })
}

func (d *detour) join(in net.Conn, to string) {
	defer in.Close()
	out, err := new(net.Dialer).DialContext(context.Background(), "tcp", to)
	if err != nil {
		return
	}
	defer out.Close()
	go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
	_, _ = io.Copy(in, out)
}

// TestAStartWhileKafkaIsAwayWaitsForIt: not ready, with a reason, and no sink works before it is known which are paused.
func TestAStartWhileKafkaIsAwayWaitsForIt(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake, "+quick+"}, {name: still, kind: fake, "+quick+"}]", "one", "still")
	s.pause("still", true)
	records, ids, _ := s.clicks(50, 5)
	s.produce(records...)
	d := newDetour(t)
	s.config.Kafka.Brokers, s.config.Kafka.CreateTopics = []string{d.addr}, false
	r := s.start()
	r.await("a reason", func() bool {
		err := r.health.Failing(t.Context())["pauses"]
		return err != nil && strings.Contains(err.Error(), "waiting for Kafka (KAFKA_BROKERS)")
	})
	d.open(brokers[0])
	r.await("all of it", func() bool { return len(s.ends["one"].ids()) == len(ids) })
	if diff := cmp.Diff(ids, sorted(s.ends["one"].ids())); diff != "" {
		t.Error(diff)
	}
	if is := r.stats("still"); is.State != "paused" || len(s.ends["still"].ids()) > 0 {
		t.Errorf("the one that was paused is %+v", is)
	}
	if err := r.health.Failing(t.Context())["pauses"]; err != nil {
		t.Errorf("it is ready no more: %v", err)
	}
}

// TestAStopWhileKafkaIsAwayAtTheStartEnds: nothing is waited for that nobody has begun.
func TestAStopWhileKafkaIsAwayAtTheStartEnds(t *testing.T) {
	t.Parallel()
	s := newScene(t, "sinks: [{name: one, kind: fake}]", "one")
	s.config.Kafka.Brokers, s.config.Kafka.CreateTopics = []string{newDetour(t).addr}, false
	r := s.start()
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %v", took)
	}
}

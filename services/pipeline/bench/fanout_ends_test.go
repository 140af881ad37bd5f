package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

func init() { roles["collector"] = runCollector }

// collector is the far end of every HTTP sink: /0, /1 and so on. It counts, and says yes.
type collector struct{ ends [64]collected }

// collected is what one of them got.
type collected struct {
	events, requests atomic.Int64
	first, last      atomic.Int64 // nanoseconds
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/stats" {
		var all []collectedStats
		for i := range c.ends {
			e := &c.ends[i]
			all = append(all, collectedStats{int(e.events.Load()), int(e.requests.Load()), e.first.Load(), e.last.Load()})
		}
		_ = json.NewEncoder(w).Encode(all)
		return
	}
	n := 0
	if _, err := fmt.Sscanf(r.URL.Path, "/%d", &n); err != nil || n < 0 || n >= len(c.ends) {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	e := &c.ends[n]
	e.first.CompareAndSwap(0, time.Now().UnixNano())
	body := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(body)
	body.Reset()
	if _, err := body.ReadFrom(r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	e.requests.Add(1)
	e.events.Add(int64(bytes.Count(body.Bytes(), []byte(`{"event_type":"`))))
	e.last.Store(time.Now().UnixNano())
}

// runCollector listens until its parent is no more, and prints where.
func runCollector() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(ln, &collector{})
	fmt.Println("http://" + ln.Addr().String())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// collectedStats is what one far end says of itself.
type collectedStats struct {
	Events   int
	Requests int
	First    int64
	Last     int64
}

// farEnds is a running collector.
type farEnds struct{ url string }

func startCollector(b *testing.B) *farEnds {
	b.Helper()
	cmd := role("collector")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			b.Error("the collector:", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return &farEnds{line[:len(line)-1]}
}

func (f *farEnds) stats(b *testing.B) (all []collectedStats) {
	b.Helper()
	resp, err := http.Get(f.url + "/stats")
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil {
		b.Fatal(err)
	}
	return all
}

// await waits until the first so many far ends have so many events each, and returns what they got and how long that took
// from the first request to the last.
func (f *farEnds) await(b *testing.B, ends, events int) (got, requests int, took time.Duration) {
	b.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	was, since := 0, time.Now()
	for {
		all, whole := f.stats(b)[:ends], true
		got, requests = 0, 0
		first, last := all[0].First, all[0].Last
		for _, e := range all {
			got, requests = got+e.Events, requests+e.Requests
			first, last = min(first, e.First), max(last, e.Last)
			whole = whole && e.Events >= events
		}
		if whole {
			return got, requests, time.Duration(last - first)
		}
		if got != was {
			was, since = got, time.Now()
		}
		if time.Since(since) > quietFor {
			b.Fatalf("nothing comes any more: the far ends have %d events", got)
		}
		<-tick.C
	}
}

package bench

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkContentGet asks content-cacher for items of two kilobytes, as they are and with the tag of what is
// known already, beside a bare handler that writes constant bytes under the same headers, and beside nginx
// with the same answer as a file, where there is one. They are asked in turns, so that whatever else goes on
// falls on all of them.
func BenchmarkContentGet(b *testing.B) {
	s := newStage(b)
	prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
	shape := contentload{items: 1000, bytes: 2000}
	s.fillContent(b, prefix, shape)
	ours := s.startServer(b, "content", prefix, "STATE_DIR="+b.TempDir())
	ours.untilReady()
	sample := ours.ask(getOf(shape.id(0)))
	bare := s.startServer(b, "content-bare", prefix, "BENCH_BODY="+sample.body)
	others := []*server{bare}
	if path, err := exec.LookPath("nginx"); err == nil {
		others = append(others, startNginx(b, path, sample.body))
	} else {
		b.Log("there is no nginx to measure beside: ", err)
	}
	for _, c := range []struct {
		name string
		code int
		want func(p *server, i int) string
	}{
		{"item", 200, func(_ *server, i int) string { return getOf(shape.id(i % shape.items)) }},
		{"not-modified", 304, func(p *server, _ int) string { return getOf(shape.id(0), "If-None-Match", p.etag) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				results := make([]Result, 1+len(others))
				for range intEnv("BENCH_CONTENT_ROUNDS", 5) {
					for i, p := range append([]*server{ours}, others...) {
						results[i].add(p.load(b, intEnv("BENCH_CONTENT_REQUESTS", 60_000), c.code, c.want))
					}
				}
				b.ReportMetric(results[0].PerSecond(), "requests/s")
				b.ReportMetric(results[0].PerCPUSecond(), "requests/cpu-s")
				for i, p := range others {
					b.ReportMetric(results[1+i].PerCPUSecond(), p.name+"-requests/cpu-s")
					b.ReportMetric(100*results[0].PerCPUSecond()/results[1+i].PerCPUSecond(), "%-of-"+p.name)
				}
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// BenchmarkContentLatency asks over 2,000 connections, at half of the rate that content-cacher has when it is asked
// as fast as it can answer, how long an answer takes, and a bare handler at the same rate: what both have in
// common is the machine's, on which those who ask have to run too.
func BenchmarkContentLatency(b *testing.B) {
	s := newStage(b)
	prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
	shape := contentload{items: intEnv("BENCH_CONTENT_KEPT", 50_000), bytes: 2000}
	s.fillContent(b, prefix, shape)
	ours := s.startServer(b, "content", prefix, "STATE_DIR="+b.TempDir())
	ours.untilReady()
	bare := s.startServer(b, "content-bare", prefix, "BENCH_BODY="+ours.ask(getOf(shape.id(0))).body)
	request := func(_ *server, i int) string { return getOf(shape.id(i * 41 % shape.items)) }
	for b.Loop() {
		most := ours.load(b, intEnv("BENCH_CONTENT_REQUESTS", 60_000), 200, request).PerSecond()
		b.ReportMetric(most, "most-requests/s")
		took := make([][]time.Duration, 2)
		for range intEnv("BENCH_CONTENT_ROUNDS", 5) {
			for i, p := range []*server{ours, bare} {
				took[i] = append(took[i], p.pace(b, 2000, most/2, 2*time.Second, request)...)
			}
		}
		for i, name := range []string{"", "bare-"} {
			slices.Sort(took[i])
			b.ReportMetric(float64(len(took[i])), name+"answers")
			for _, q := range []struct {
				name string
				part int // of a thousand
			}{{"p50", 500}, {"p99", 990}, {"p99.9", 999}} {
				b.ReportMetric(float64(took[i][len(took[i])*q.part/1000].Microseconds())/1000, name+q.name+"-ms")
			}
		}
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkContentLoad lets content-cacher come up with an empty disk and read every item there is, beside a
// reader that only reads them. BENCH_CONTENT_ITEMS=1000000 asks for a million.
func BenchmarkContentLoad(b *testing.B) {
	shape := contentload{items: intEnv("BENCH_CONTENT_ITEMS", 200_000), bytes: intEnv("BENCH_CONTENT_BYTES", 500)}
	s := newStage(b)
	for b.Loop() {
		prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
		s.fillContent(b, prefix, shape)
		var limit, ours Result
		for range 3 { // in turns, since the broker is the larger part of it
			limit.add(s.start(b, "content-read", prefix).Loop)
			ours.add(s.start(b, "content-fill", prefix, "STATE_DIR="+b.TempDir()).Loop)
		}
		if want := 3 * shape.items; limit.Events != want || ours.Events != want {
			b.Fatalf("%d items were read and %d loaded, of %d", limit.Events, ours.Events, want)
		}
		b.ReportMetric(ours.PerSecond(), "items/s")
		b.ReportMetric(ours.PerCPUSecond(), "items/cpu-s")
		b.ReportMetric(limit.PerSecond(), "limit-items/s")
		b.ReportMetric(limit.PerCPUSecond(), "limit-items/cpu-s")
		b.ReportMetric(100*ours.Wall.Seconds()/limit.Wall.Seconds(), "%-of-limit-time")
		b.ReportMetric(0, "ns/op")
	}
}

// BenchmarkContentMemory counts what an item takes: what lives on the heap once everything is loaded and
// prepared, and when the service is just ready, less what lives there without items.
func BenchmarkContentMemory(b *testing.B) {
	for _, bytes := range []int{200, 500, 2000} {
		b.Run(fmt.Sprintf("bytes=%d", bytes), func(b *testing.B) {
			s := newStage(b)
			for b.Loop() {
				prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
				shape := contentload{items: 1, bytes: bytes}
				s.fillContent(b, prefix, shape)
				empty := s.start(b, "content-fill", prefix, "STATE_DIR="+b.TempDir())
				shape.items = intEnv("BENCH_CONTENT_KEPT", 100_000)
				s.fillContent(b, prefix, shape)
				full := s.start(b, "content-fill", prefix, "STATE_DIR="+b.TempDir())
				perItem := float64(full.Heap-empty.Heap) / float64(shape.items)
				b.ReportMetric(perItem, "B/item")
				b.ReportMetric(float64(full.HeapReady-empty.Heap)/float64(shape.items), "B/item-when-ready")
				b.ReportMetric(100*perItem/float64(2*shape.recordBytes()+300), "%-of-allowed")
				b.ReportMetric(float64(full.Resident)/float64(shape.items), "resident-B/item")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// filled is what content-fill says at its end.
type filled struct {
	Loop      Result
	Heap      int64 // bytes that live on it
	HeapReady int64 // when it was just ready
	Resident  int64 // of the whole process
}

// start lets content-fill load everything there is.
func (s *stage) start(b *testing.B, subject, prefix string, env ...string) (f filled) {
	b.Helper()
	cmd := role(subject, append(s.env(prefix, "CONTENT_ADDR=127.0.0.1:0"), env...)...)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &f)
	}
	if err != nil {
		b.Fatalf("%s: %v", subject, err)
	}
	return f
}

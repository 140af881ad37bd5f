package bench

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
)

func init() {
	roles["currents-limit"] = func() error { return runBareDoor(splitReports, http.StatusOK) }
}

const (
	reportSize    = 100 // events in a body of Currents
	reportSenders = 16  // connections that Currents posts over
)

// BenchmarkCurrents posts Currents' batches of a hundred events to the front door, of every type there is, and beside it to a
// handler that takes them apart, hands the bytes of each event to Kafka as they are, and waits for it.
func BenchmarkCurrents(b *testing.B) {
	events := intEnv("BENCH_ENGAGEMENTS", 200_000) / reportSize * reportSize
	s := newStage(b)
	for b.Loop() {
		limit := s.report(b, "currents-limit", events)
		ours := s.report(b, "ingest", events)
		b.ReportMetric(ours.PerSecond(), "events/s")
		b.ReportMetric(ours.PerCPUSecond(), "events/cpu-s")
		b.ReportMetric(limit.PerCPUSecond(), "limit-events/cpu-s")
		b.ReportMetric(100*ours.PerCPUSecond()/limit.PerCPUSecond(), "%-of-limit")
		b.ReportMetric(ours.PeakMB, "peak-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// report runs a subject and sends it so many events.
func (s *stage) report(b *testing.B, subject string, events int) Result {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
	cmd := role(subject, s.env(prefix, "INGEST_ADDR="+addr, "INGEST_KEYS=bench:bench", "BRAZE_CURRENTS_TOKENS=bench")...)
	if profile := os.Getenv("BENCH_CPUPROFILE"); profile != "" && subject == "ingest" {
		cmd.Env = append(cmd.Env, "BENCH_PROFILE_TO="+profile)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	awaitPort(b, addr)
	start := time.Now()
	var next atomic.Int64
	var senders sync.WaitGroup
	for n := range reportSenders {
		senders.Go(func() {
			if err := reportAll(addr, uint64(n), events, &next); err != nil {
				b.Error(err)
			}
		})
	}
	senders.Wait()
	wall := time.Since(start)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatalf("%s: %v", subject, err)
	}
	r := Result{Events: events, Usage: usageOf(cmd.ProcessState)}
	r.Wall = wall
	return r
}

// reportAll posts the next batches until none are left.
func reportAll(addr string, seed uint64, events int, next *atomic.Int64) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in, types := bufio.NewReader(conn), currents.Types()
	dice := mathrand.New(mathrand.NewPCG(seed, 1))
	var body, request []byte
	for {
		last := int(next.Add(reportSize))
		if last > events {
			return nil
		}
		body = append(body[:0], `{"events":[`...)
		for i := last - reportSize; i < last; i++ {
			body = append(append(body, sample.Event(dice, types[i%len(types)].Name, i)...), ',')
		}
		body = append(body[:len(body)-1], `]}`...)
		request = append(request[:0], "POST /v1/braze/currents?ws=eu HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\nContent-Type: application/json\r\nContent-Length: "...)
		request = append(strconv.AppendInt(request, int64(len(body)), 10), "\r\n\r\n"...)
		if _, err := conn.Write(append(request, body...)); err != nil {
			return err
		}
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			return err
		}
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("answered %d: %s", resp.StatusCode, answer)
		}
	}
}

// splitReports takes a batch apart.
func splitReports(body []byte) ([][]byte, error) {
	array, ok := bytes.CutPrefix(bytes.TrimRight(body, "}"), []byte(`{"events":`))
	if !ok {
		return nil, fmt.Errorf("no batch: %.100q", body)
	}
	return split(array)
}

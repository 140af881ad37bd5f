package bench

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/services/ingest"
)

// BenchmarkIngestBatches posts arrays of fifty events to the front door.
func BenchmarkIngestBatches(b *testing.B) { benchmarkIngest(b, 50, intEnv("BENCH_EVENTS", 500_000)) }

// BenchmarkIngestSingle posts one event a request.
func BenchmarkIngestSingle(b *testing.B) { benchmarkIngest(b, 1, intEnv("BENCH_EVENTS", 500_000)/5) }

// connections is how many clients post at once.
const connections = 64

func benchmarkIngest(b *testing.B, size, events int) {
	w := Workload{Events: events / size * size, Users: 20_000}
	s := newStage(b)
	for b.Loop() {
		limit := s.post(b, "ingest-limit", size, w)
		ours := s.post(b, "ingest", size, w)
		b.ReportMetric(ours.PerSecond(), "events/s")
		b.ReportMetric(ours.PerCPUSecond(), "events/cpu-s")
		b.ReportMetric(limit.PerCPUSecond(), "limit-events/cpu-s")
		b.ReportMetric(100*ours.PerCPUSecond()/limit.PerCPUSecond(), "%-of-limit")
		b.ReportMetric(ours.PeakMB, "peak-MB")
		b.ReportMetric(0, "ns/op")
	}
}

// post runs a subject and sends it the whole workload.
func (s *stage) post(b *testing.B, subject string, size int, w Workload) Result {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	prefix := "bench-" + strings.ToLower(rand.Text()[:8]) + "."
	cmd := role(subject, s.env(prefix, "INGEST_ADDR="+addr, "INGEST_KEYS=bench:bench")...)
	if profile := os.Getenv("BENCH_CPUPROFILE"); profile != "" && subject == "ingest" {
		cmd.Env = append(cmd.Env, "BENCH_PROFILE_TO="+profile)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	awaitPort(b, addr)
	start := time.Now()
	var next atomic.Int64
	var clients sync.WaitGroup
	for range connections {
		clients.Go(func() {
			if err := postAll(addr, size, w, &next); err != nil {
				b.Error(err)
			}
		})
	}
	clients.Wait()
	wall := time.Since(start)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatalf("%s: %v", subject, err)
	}
	r := Result{Events: w.Events, Usage: usageOf(cmd.ProcessState)}
	r.Wall = wall
	return r
}

func awaitPort(b *testing.B, addr string) {
	b.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(30 * time.Second)
	for {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			b.Fatal("the subject does not listen on ", addr)
		}
	}
}

// postAll takes the next events of the workload until none are left. Requests are written by hand:
// the machine is shared with the subject, and its CPU is what is measured.
func postAll(addr string, size int, w Workload, next *atomic.Int64) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	var body, request []byte
	for {
		last := int(next.Add(int64(size)))
		if last > w.Events {
			return nil
		}
		body = body[:0]
		for i := last - size; i < last; i++ {
			body = append(body, ',')
			body = fmt.Appendf(body, `{"id":"bench-%d","user":{"external_id":"user-%d"},"name":"Product Viewed","time":"2026-03-04T05:06:07.890Z","properties":`, i, i%w.Users)
			body = append(append(body, w.Properties(i)...), '}')
		}
		if size > 1 {
			body[0] = '['
			body = append(body, ']')
		} else {
			body = body[1:]
		}
		request = append(request[:0], "POST /v1/events HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\nContent-Type: application/json\r\nContent-Length: "...)
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
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("answered %d: %s", resp.StatusCode, answer)
		}
	}
}

// runIngest is the real service, as its own binary runs it.
func runIngest() error {
	defer profile()()
	daemon.Main("ingest", ingest.Open)
	return nil
}

// runIngestLimit is a bare handler: it splits an array, produces the bytes of each item as they are,
// waits for Kafka, and says yes. It looks at nothing.
func runIngestLimit() error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	topic := os.Getenv("TOPIC_PREFIX") + "raw"
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...),
		kgo.ProducerLinger(0), kgo.DefaultProduceTopic(topic),
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 12, -1, nil, topic); err != nil {
		return err
	}
	server := &http.Server{Addr: os.Getenv("INGEST_ADDR"), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		items, err := split(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var pending sync.WaitGroup
		var failed atomic.Bool
		pending.Add(len(items))
		for _, item := range items {
			client.Produce(ctx, &kgo.Record{Value: item}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Store(true)
				}
				pending.Done()
			})
		}
		pending.Wait()
		if failed.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{"accepted":%d}`, len(items))
	})}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

func split(body []byte) ([][]byte, error) {
	if body[0] != '[' {
		return [][]byte{body}, nil
	}
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var items [][]byte
	for d.PeekKind() != ']' {
		from := d.InputOffset()
		if err := d.SkipValue(); err != nil {
			return nil, err
		}
		items = append(items, bytes.TrimLeft(body[from:d.InputOffset()], ", "))
	}
	return items, nil
}

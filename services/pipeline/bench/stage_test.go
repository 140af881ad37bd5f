package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	regembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/topics"
)

// roleVar tells a copy of this test binary what to be instead.
const roleVar = "SLUICE_BENCH_ROLE"

var roles = map[string]func() error{
	"stage":         runStage,
	"sender":        runSender,
	"sender-limit":  func() error { return runSenderLimit(structCodec) },
	"sender-bytes":  func() error { return runSenderLimit(bytesOnly) },
	"ingest":        runIngest,
	"ingest-limit":  runIngestLimit,
	"sync":          runSync,
	"sync-limit":    runSyncLimit,
	"sync-pebble":   runSyncPebble,
	"restore-kafka": runRestoreKafka,
}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVar); role != "" {
		if err := roles[role](); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// addresses is what the stage prints when it stands.
type addresses struct {
	Kafka    string `json:"kafka"`
	Registry string `json:"registry"`
	Sink     string `json:"sink"`
}

// runStage is everything around a subject: broker, registry, and a sink in Braze's place.
func runStage() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var a addresses
	if brokers := os.Getenv("TEST_KAFKA_BROKERS"); brokers != "" {
		a.Kafka = brokers
	} else {
		broker, err := embedded.Start(ctx, embedded.Config{Addr: "127.0.0.1:0"})
		if err != nil {
			return err
		}
		defer broker.Close()
		a.Kafka = broker.Addr()
	}
	reg, err := regembedded.Start(ctx, regembedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	defer reg.Close()
	a.Registry = reg.URL()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	a.Sink = "http://" + ln.Addr().String()
	go http.Serve(ln, newSink())
	if err := json.NewEncoder(os.Stdout).Encode(a); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // until the parent closes it, or dies
	return err
}

// sink answers as Braze does when all is well, after a while if told so, and keeps the order of each
// user's events.
type sink struct {
	events, misordered, requests atomic.Int64
	first, last                  atomic.Int64
	latencyMin, latencyMax       atomic.Int64
	gaps                         atomic.Bool // some of a user's events go by another request
	sandbox                      http.Handler
	users                        [256]struct {
		sync.Mutex
		last map[string]int
	}
}

// sandboxPath is where the strict sandbox answers in the sink's place.
const sandboxPath = "/sandbox"

func newSink() *sink {
	s := &sink{sandbox: http.StripPrefix(sandboxPath, brazefake.New(brazefake.Options{
		Keys: []brazefake.Key{{Value: "bench"}}, MaxProfiles: 50_000, MaxEventsPerUser: 20, MaxReceived: 10_000,
	}))}
	for i := range s.users {
		s.users[i].last = map[string]int{}
	}
	return s
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/stats":
		fmt.Fprintf(w, `{"events":%d,"misordered":%d,"requests":%d,"nanos":%d}`, s.events.Load(), s.misordered.Load(), s.requests.Load(), s.last.Load()-s.first.Load())
	case "/reset":
		for i := range s.users {
			s.users[i].Lock()
			clear(s.users[i].last)
			s.users[i].Unlock()
		}
		for _, n := range []*atomic.Int64{&s.events, &s.misordered, &s.requests, &s.first, &s.last} {
			n.Store(0)
		}
		s.gaps.Store(r.URL.Query().Has("gaps"))
		lo, _ := time.ParseDuration(r.URL.Query().Get("min"))
		hi, _ := time.ParseDuration(r.URL.Query().Get("max"))
		s.latencyMin.Store(int64(lo))
		s.latencyMax.Store(int64(hi))
	default:
		s.track(w, r)
	}
}

var bodies = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func (s *sink) track(w http.ResponseWriter, r *http.Request) {
	s.first.CompareAndSwap(0, time.Now().UnixNano())
	buf := bodies.Get().(*bytes.Buffer)
	defer bodies.Put(buf)
	buf.Reset()
	if _, err := buf.ReadFrom(r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	n := bytes.Count(buf.Bytes(), []byte(`"external_user_id":"`)) // the recipients of a send
	if strings.HasPrefix(strings.TrimPrefix(r.URL.Path, sandboxPath), "/users/track") {
		n = s.read(buf.Bytes())
	}
	if hi := s.latencyMax.Load(); hi > 0 {
		lo := s.latencyMin.Load()
		<-time.After(time.Duration(lo + rand.Int64N(hi-lo+1)))
	}
	if strings.HasPrefix(r.URL.Path, sandboxPath) {
		r.Body = io.NopCloser(bytes.NewReader(buf.Bytes()))
		s.sandbox.ServeHTTP(w, r)
	} else {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"message":"success","events_processed":%d}`, n)
	}
	s.requests.Add(1)
	s.events.Add(int64(n))
	s.last.Store(time.Now().UnixNano())
}

// read walks over the events of a body: `"external_id":"…"` … `"seq":n`.
func (s *sink) read(body []byte) (n int) {
	for {
		i := bytes.Index(body, []byte(`"external_id":"`))
		if i < 0 {
			return n
		}
		body = body[i+len(`"external_id":"`):]
		end := bytes.IndexByte(body, '"')
		user := body[:end]
		i = bytes.Index(body, []byte(`"seq":`))
		body = body[i+len(`"seq":`):]
		seq := 0
		for len(body) > 0 && body[0] >= '0' && body[0] <= '9' {
			seq, body = seq*10+int(body[0]-'0'), body[1:]
		}
		shard := &s.users[(int(user[len(user)-1])*31+int(user[len(user)-2]))%len(s.users)]
		shard.Lock()
		if last, seen := shard.last[string(user)]; seen && (seq <= last || !s.gaps.Load() && seq != last+1) {
			s.misordered.Add(1)
		}
		shard.last[string(user)] = seq
		shard.Unlock()
		n++
	}
}

// stage is a running stage, seen from the benchmark.
type stage struct{ addresses }

func newStage(tb testing.TB) *stage {
	tb.Helper()
	cmd := role("stage")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	s := &stage{}
	tb.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			tb.Error("the stage:", err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		tb.Fatal(err)
	}
	if err := json.Unmarshal(line, &s.addresses); err != nil {
		tb.Fatal(err)
	}
	return s
}

// role is this binary, being something else.
func role(name string, env ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(append(os.Environ(), roleVar+"="+name), env...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// env is the configuration of a subject.
func (s *stage) env(prefix string, more ...string) []string {
	return append([]string{
		"KAFKA_BROKERS=" + s.Kafka, "SCHEMA_REGISTRY_URL=" + s.Registry, "TOPIC_PREFIX=" + prefix,
		"BRAZE_REST_ENDPOINT=" + s.Sink, "BRAZE_API_KEY=bench", "BRAZE_RATE=1000000/1s", "LOG_LEVEL=warn", "OPS_ADDR=127.0.0.1:0",
	}, more...)
}

// fill puts a workload on customer.events.
func (s *stage) fill(tb testing.TB, prefix string, w Workload) {
	tb.Helper()
	s.fillWith(tb, prefix, w, func(int, *event.Event, *stream.Record) {})
}

// fillWith puts it there with changes to single events and records.
func (s *stage) fillWith(tb testing.TB, prefix string, w Workload, change func(i int, e *event.Event, r *stream.Record)) {
	tb.Helper()
	kafka := stream.Config{Brokers: strings.Split(s.Kafka, ","), TopicPrefix: prefix, Compression: "lz4", CreateTopics: true, Partitions: 12, ReplicationFactor: -1}
	reg, err := registry.New(registry.Config{URL: s.Registry})
	if err != nil {
		tb.Fatal(err)
	}
	ids, err := topics.Prepare(tb.Context(), kafka, reg, schema.CustomerEvents)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := stream.NewProducer(kafka, stream.ProducerOptions{Linger: 10 * time.Millisecond})
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	topic := kafka.Topic(schema.CustomerEvents)
	var failed atomic.Pointer[error]
	for i := range w.Events {
		e := w.Event(i)
		r := &stream.Record{Topic: topic, Key: []byte(e.User.ExternalID)}
		change(i, &e, r)
		r.Value = avro.AppendEvent(nil, ids[schema.CustomerEvents], &e)
		p.Produce(tb.Context(), r,
			func(_ *stream.Record, err error) {
				if err != nil {
					failed.Store(&err)
				}
			})
	}
	if err := p.Flush(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		tb.Fatal(*err)
	}
}

type sinkStats struct {
	Events     int   `json:"events"`
	Misordered int64 `json:"misordered"`
	Requests   int   `json:"requests"`
	Nanos      int64 `json:"nanos"`
}

func (s *stage) reset(tb testing.TB, query string) {
	tb.Helper()
	resp, err := http.Get(s.Sink + "/reset?" + query)
	if err != nil {
		tb.Fatal(err)
	}
	resp.Body.Close()
}

func (s *stage) stats(tb testing.TB) (out sinkStats) {
	tb.Helper()
	resp, err := http.Get(s.Sink + "/stats")
	if err != nil {
		tb.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		tb.Fatal(err)
	}
	return out
}

// usageOf reads what a process that has ended took.
func usageOf(state *os.ProcessState) Usage {
	ru := state.SysUsage().(*syscall.Rusage)
	return Usage{CPU: state.UserTime() + state.SystemTime(), PeakMB: float64(ru.Maxrss) / 1024}
}

func intEnv(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return fallback
}

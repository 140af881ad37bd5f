package bench

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

// contentload is so many items with bodies of about so many bytes.
type contentload struct{ items, bytes int }

func (w contentload) id(i int) string { return "item-" + strconv.Itoa(i) }

func (w contentload) item(i int) *event.Content {
	at := time.UnixMilli(1_760_000_000_000 + int64(i))
	body := fmt.Appendf(nil, `{"sku":"SKU-%d","title":"Trail Runner %d blue","price_text":"%d,90 €","price_minor":%d,"in_stock":true,"text":"`, i, i, i%500, i%500*100+90)
	for n := i; len(body) < w.bytes-2; n += 7919 {
		body = append(body, contentWords[n%len(contentWords)]...)
	}
	return &event.Content{
		ID: "bench-" + strconv.Itoa(i), Collection: "products", ItemID: w.id(i), Source: "feed", Approved: true,
		OccurredAt: at, ReceivedAt: at, Tags: []string{"shoes", "spring"}, Body: append(body, `"}`...),
	}
}

var contentWords = strings.SplitAfter("light grip cushion breathable trail road winter mesh rubber sole heel lace waterproof reflective recycled ", " ")

// recordBytes is how large a record is on the topic, its key included.
func (w contentload) recordBytes() int {
	c := w.item(w.items / 2)
	return len(c.Key()) + len(avro.AppendContent(nil, 1, c))
}

// fillContent puts items on content.items.
func (s *stage) fillContent(tb testing.TB, prefix string, w contentload) {
	tb.Helper()
	kafka := s.kafka(prefix)
	reg, err := registry.New(registry.Config{URL: s.Registry})
	if err != nil {
		tb.Fatal(err)
	}
	defer reg.Close()
	ids, err := topics.Prepare(tb.Context(), kafka, reg, schema.ContentItems)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := stream.NewProducer(kafka, stream.ProducerOptions{Linger: 10 * time.Millisecond})
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	var failed atomic.Pointer[error]
	for i := range w.items {
		c := w.item(i)
		r := &stream.Record{Topic: kafka.Topic(schema.ContentItems), Key: []byte(c.Key()), Value: avro.AppendContent(nil, ids[schema.ContentItems], c)}
		p.Produce(tb.Context(), r, func(_ *stream.Record, err error) {
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

// server is a process that serves content, with one core.
type server struct {
	b    *testing.B
	name string
	addr string
	ops  string
	cmd  *exec.Cmd
	etag string // of the first item
}

func freeAddr(b *testing.B) string {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func (s *stage) startServer(b *testing.B, subject, prefix string, env ...string) *server {
	b.Helper()
	p := &server{b: b, name: strings.TrimPrefix(subject, "content-"), addr: freeAddr(b), ops: freeAddr(b)}
	p.cmd = role(subject, s.env(prefix, append(env, "GOMAXPROCS=1", "CONTENT_ADDR="+p.addr, "OPS_ADDR="+p.ops)...)...)
	if path := os.Getenv("BENCH_CPUPROFILE"); path != "" && subject == "content" {
		p.cmd.Env = append(p.cmd.Env, "BENCH_PROFILE_TO="+path)
	}
	p.run()
	return p
}

// startNginx serves a file whatever it is asked for.
func startNginx(b *testing.B, path, body string) *server {
	b.Helper()
	dir := b.TempDir()
	p := &server{b: b, name: "nginx", addr: freeAddr(b)}
	conf := fmt.Sprintf(`daemon off; master_process off; worker_processes 1; pid %[1]s/pid; error_log %[1]s/error.log;
events { worker_connections 4096; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; default_type application/json;
  open_file_cache max=100; open_file_cache_valid 1h;
  client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;
  server { listen %[2]s; root %[1]s; add_header Cache-Control "public, max-age=300"; add_header Vary Accept-Encoding; location / { try_files /item.json =404; } }
}
`, dir, p.addr)
	for name, text := range map[string]string{"nginx.conf": conf, "item.json": body} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	p.cmd = exec.Command(path, "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-g", "user root;")
	if os.Getuid() != 0 {
		p.cmd.Args = p.cmd.Args[:5]
	}
	p.cmd.Stderr = os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p.run()
	return p
}

// run starts the process, for as long as the benchmark takes.
func (p *server) run() {
	p.b.Helper()
	if err := p.cmd.Start(); err != nil {
		p.b.Fatal(err)
	}
	p.b.Cleanup(func() {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			p.b.Error(err)
		}
		if err := p.cmd.Wait(); err != nil {
			p.b.Errorf("%s: %v", p.name, err)
		}
	})
	awaitPort(p.b, p.addr)
	if p.ops == "" || p.name == "bare" {
		p.etag = p.ask(getOf("item-0")).etag
	}
}

// untilReady waits until the process is ready to serve.
func (p *server) untilReady() {
	p.b.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(time.Minute)
	for {
		resp, err := http.Get("http://" + p.ops + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case <-tick.C:
		case <-deadline:
			p.b.Fatalf("%s is not ready", p.name)
		}
	}
	p.etag = p.ask(getOf("item-0")).etag
}

// getOf is a request as Braze writes one, less the compression, which would have both sides send less.
func getOf(id string, headers ...string) string {
	text := "GET /v1/content/products/" + id + "?locale=de-AT HTTP/1.1\r\nHost: content.example.com\r\nUser-Agent: Braze Sender 5\r\nAccept: */*\r\nContent-Type: application/json\r\n"
	for i := 0; i < len(headers); i += 2 {
		text += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	return text + "\r\n"
}

type answered struct{ body, etag string }

// ask sends one request by itself.
func (p *server) ask(request string) answered {
	p.b.Helper()
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.b.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		p.b.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		p.b.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		p.b.Fatalf("%s answered %d with %.200s: %v", p.name, resp.StatusCode, body, err)
	}
	return answered{string(body), resp.Header.Get("Etag")}
}

// load asks the process so many times over many connections, and returns what that took of it.
func (p *server) load(b *testing.B, requests, code int, request func(p *server, i int) string) Result {
	b.Helper()
	texts := make([][]byte, 1000)
	for i := range texts {
		texts[i] = []byte(request(p, i))
	}
	var next atomic.Int64
	var clients sync.WaitGroup
	start, from := time.Now(), p.cpu()
	for range connections {
		clients.Go(func() {
			if err := askAll(p.addr, code, func() []byte {
				if i := int(next.Add(1)); i <= requests {
					return texts[i%len(texts)]
				}
				return nil
			}); err != nil {
				b.Errorf("%s: %v", p.name, err)
			}
		})
	}
	clients.Wait()
	return Result{Events: requests, Usage: Usage{Wall: time.Since(start), CPU: p.cpu() - from}}
}

// pace asks at a steady rate over so many connections, and returns how long each answer took.
func (p *server) pace(b *testing.B, connections int, rate float64, length time.Duration, request func(p *server, i int) string) []time.Duration {
	b.Helper()
	texts := make([][]byte, 1000)
	for i := range texts {
		texts[i] = []byte(request(p, i))
	}
	gap := time.Duration(float64(time.Second) * float64(connections) / rate)
	took := make([][]time.Duration, connections)
	start := time.Now().Add(200 * time.Millisecond) // when all are connected
	var clients sync.WaitGroup
	for n := range connections {
		clients.Go(func() {
			next, asked := start.Add(gap*time.Duration(n)/time.Duration(connections)), time.Time{}
			err := askAll(p.addr, http.StatusOK, func() []byte {
				if !asked.IsZero() {
					took[n] = append(took[n], time.Since(asked))
				}
				if next.Sub(start) >= length {
					return nil
				}
				<-time.After(time.Until(next))
				next = next.Add(gap)
				asked = time.Now()
				return texts[(n+len(took[n])*connections)%len(texts)]
			})
			if err != nil {
				b.Errorf("%s: %v", p.name, err)
			}
		})
	}
	clients.Wait()
	return slices.Concat(took...)
}

// askAll asks over one connection until there is nothing more to ask. Answers are picked apart by hand: the
// machine is shared with the subject.
func askAll(addr string, code int, next func() []byte) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 8<<10)
	want := fmt.Appendf(nil, "HTTP/1.1 %d ", code)
	for request := next(); request != nil; request = next() {
		if _, err := conn.Write(request); err != nil {
			return err
		}
		line, err := in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if !bytes.HasPrefix(line, want) {
			return fmt.Errorf("answered %q", line)
		}
		length := 0
		for len(line) > len("\r\n") {
			if line, err = in.ReadSlice('\n'); err != nil {
				return err
			}
			if text, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
				if length, err = strconv.Atoi(string(bytes.TrimSpace(text))); err != nil {
					return err
				}
			}
		}
		if code == http.StatusOK && length == 0 {
			return errors.New("an answer without a length")
		}
		if _, err := in.Discard(length); err != nil {
			return err
		}
	}
	return nil
}

// cpu is what the process has used so far.
func (p *server) cpu() time.Duration {
	p.b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		p.b.Fatal(err)
	}
	// Behind the name, which is in parentheses and may hold anything: the state, and 11 fields on the ticks.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			p.b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

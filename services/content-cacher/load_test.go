package contentcacher_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

// load is how large TestContentUnderLoad is. By hand, on a machine that does nothing else:
//
//	CONTENT_LOAD_CONNECTIONS=2000 CONTENT_LOAD_ITEMS=50000 CONTENT_LOAD_SECONDS=60 CONTENT_LOAD_RATE=10000 \
//	  CONTENT_LOAD_P99=2ms go test -run TestContentUnderLoad -v .
type load struct {
	connections int
	items       int
	length      time.Duration
	rate        int           // requests a second, over all connections
	p99         time.Duration // that is asserted; 0 for none
}

func loadFromEnv(t *testing.T) load {
	t.Helper()
	number := func(name string, fallback int) int {
		text := os.Getenv(name)
		if text == "" {
			return fallback
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			t.Fatalf("%s: %q is no number from 1 on", name, text)
		}
		return n
	}
	l := load{
		connections: number("CONTENT_LOAD_CONNECTIONS", 200), items: number("CONTENT_LOAD_ITEMS", 5000),
		length: time.Duration(number("CONTENT_LOAD_SECONDS", 7)) * time.Second, rate: number("CONTENT_LOAD_RATE", 2000),
	}
	if text := os.Getenv("CONTENT_LOAD_P99"); text != "" {
		var err error
		if l.p99, err = time.ParseDuration(text); err != nil {
			t.Fatalf("CONTENT_LOAD_P99: %v", err)
		}
	}
	return l
}

// underway is how long a record may take from its acknowledgement until every answer obeys it, on a machine
// that also runs everything else. What ends by the clock has no such margin.
const underway = 3 * time.Second

// enoughChanges are those without which nothing has been tried.
const enoughChanges = 50

// truth is what a reader may be told about one item. Words are changed before a record is sent that allows
// more, and after one is acknowledged that allows less.
type truth struct {
	mu       sync.Mutex
	version  int64     // the newest that was acknowledged
	since    time.Time // when it was
	hidden   bool      // no version may be shown
	awaiting bool      // a change is on its way, whose outcome nobody knows yet
	until    int64     // of what stands, milliseconds since 1970; 0 for no end
}

func (tr *truth) now() truth {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return truth{version: tr.version, since: tr.since, hidden: tr.hidden, awaiting: tr.awaiting, until: tr.until}
}

// TestContentUnderLoad reads over many connections while items change, expire, are withdrawn and come back, and
// while Kafka goes away and returns: no 5xx, nothing that may not be shown, and in the end everything that
// stands.
func TestContentUnderLoad(t *testing.T) {
	l := loadFromEnv(t)
	dir := t.TempDir()
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, broker.Brokers())
	s.config.Content.CollectionsFile = filepath.Join(t.TempDir(), "content.yaml")
	if err := os.WriteFile(s.config.Content.CollectionsFile, []byte(`collections: [{name: "*", default: {text: stand-in}}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	w := &writer{s: s, truths: make([]truth, l.items)}
	w.stock()
	r := s.start()
	r.ready()

	run := &crowd{t: t, addr: strings.TrimPrefix(r.url, "http://"), truths: w.truths}
	stop, over := make(chan struct{}), time.After(l.length)
	var readers, writing sync.WaitGroup
	took := make([][]time.Duration, l.connections)
	for i := range l.connections {
		readers.Go(func() { took[i] = run.read(i, time.Second*time.Duration(l.connections)/time.Duration(l.rate), stop) })
	}
	writing.Go(func() { w.change(stop) })

	<-time.After(l.length / 3)
	addr := broker.Addr()
	run.gone.Store(time.Now().UnixMilli())
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	<-time.After(l.length / 6)
	if broker, err = embedded.Start(t.Context(), embedded.Config{Addr: addr, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	run.back.Store(time.Now().UnixMilli())
	t.Cleanup(func() { _ = broker.Close() })
	<-over
	for late := time.Now().Add(time.Minute); w.changes.Load() < enoughChanges && time.Now().Before(late); { // on a machine that is busy
		<-time.After(100 * time.Millisecond)
	}
	close(stop)
	writing.Wait()
	readers.Wait()

	run.report(l, slices.Concat(took...), w.changes.Load())
	run.everythingStands()
}

// writer changes items, one batch of records after the other.
type writer struct {
	s       *scene
	truths  []truth
	changes atomic.Int64
	clock   int64 // milliseconds that no two records share: a withdrawal takes back what is older
}

func (w *writer) tick() time.Time {
	w.clock = max(w.clock+1, time.Now().UnixMilli())
	return time.UnixMilli(w.clock)
}

// stock writes every item once.
func (w *writer) stock() {
	var records []*stream.Record
	for i := range w.truths {
		w.truths[i].version, w.truths[i].since = 1, time.Now()
		records = append(records, w.item(i, 1, 0))
	}
	w.s.write(records...)
}

func (w *writer) item(i int, version, until int64, change ...func(*event.Content)) *stream.Record {
	at := w.tick()
	return w.s.item("item-"+strconv.Itoa(i), "", append([]func(*event.Content){func(c *event.Content) {
		c.OccurredAt, c.ReceivedAt = at, at
		c.Tags = []string{"tag-" + strconv.Itoa(i%100)}
		c.Body = fmt.Appendf(nil, `{"number":%d,"version":%d,"until":%d,"text":"%s"}`, i, version, until, strings.Repeat("lorem ipsum ", 40))
		if until > 0 {
			c.ValidUntil = time.UnixMilli(until)
		}
	}}, change...)...)
}

// untouched is the part of items that nobody changes: they are there at any moment.
const untouched = 4

// change goes on until stop is closed.
func (w *writer) change(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		var records []*stream.Record
		var settle []func()
		for _, i := range rand.Perm(len(w.truths))[:10] {
			if i%untouched == 0 {
				continue
			}
			r, done := w.one(i)
			records, settle = append(records, r), append(settle, done)
		}
		w.changes.Add(int64(len(records)))
		w.s.write(records...)
		for _, done := range settle {
			done()
		}
	}
}

// one is a change of an item, and what holds once it is acknowledged.
func (w *writer) one(i int) (*stream.Record, func()) {
	tr := &w.truths[i]
	was := tr.now()
	hidden, version, until := false, was.version+1, int64(0)
	var record *stream.Record
	switch rand.IntN(6) {
	case 0:
		record, hidden = &stream.Record{Key: []byte("banners/item-" + strconv.Itoa(i))}, true
	case 1:
		record, hidden = w.item(i, version, 0, func(c *event.Content) { c.Withdraws, c.Approved = true, false }), true
	case 2:
		record, hidden = w.item(i, version, 0, func(c *event.Content) { c.Approved = false }), true
	case 3:
		until = time.Now().UnixMilli() + 100 + rand.Int64N(2000)
		record = w.item(i, version, until)
	default:
		record = w.item(i, version, 0)
	}
	tr.mu.Lock()
	tr.awaiting = true
	tr.mu.Unlock()
	return record, func() {
		tr.mu.Lock()
		defer tr.mu.Unlock()
		tr.version, tr.since, tr.hidden, tr.until, tr.awaiting = version, time.Now(), hidden, until, false
	}
}

// crowd is those who read.
type crowd struct {
	t        *testing.T
	addr     string
	truths   []truth
	defaults atomic.Int64
	aged     atomic.Int64 // answers that said how old they are

	gone, back atomic.Int64 // when Kafka went away and came back, milliseconds since 1970; 0 for not yet
}

// read asks over one connection, once every gap, and returns how long each answer took.
func (c *crowd) read(n int, gap time.Duration, stop <-chan struct{}) (took []time.Duration) {
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		c.t.Errorf("connection %d: %v", n, err)
		return nil
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	<-time.After(rand.N(gap)) // else all would ask at once
	next := time.NewTicker(gap)
	defer next.Stop()
	for {
		select {
		case <-stop:
			return took
		case <-next.C:
		}
		path, known := c.pick()
		start := time.Now()
		a, err := ask(conn, in, path)
		took = append(took, a.took)
		if err != nil {
			c.t.Errorf("connection %d: %s: %v", n, path, err)
			return took
		}
		c.count(a)
		for _, b := range a.bodies {
			c.judge(path, &b, start, known)
		}
		if len(a.bodies) == 0 && known != nil && known.number%untouched == 0 {
			c.t.Errorf("%s, which nobody has changed, is not served: %d", path, a.code)
		}
	}
}

// known is what was known of an item before it was asked for.
type known struct {
	number int
	truth  truth
}

// pick chooses what to ask for: mostly an item, now and then a list.
func (c *crowd) pick() (string, *known) {
	i := rand.IntN(len(c.truths))
	if rand.IntN(50) == 0 {
		return fmt.Sprintf("banners?limit=20&tag=tag-%d", i%100), nil
	}
	return fmt.Sprintf("banners/item-%d?locale=de-AT", i), &known{i, c.truths[i].now()}
}

// judge holds what was served to what may be.
func (c *crowd) judge(path string, b *served, start time.Time, k *known) {
	if b.Until > 0 && start.UnixMilli() >= b.Until {
		c.t.Errorf("%s: version %d is served %d ms after it has expired", path, b.Version, start.UnixMilli()-b.Until)
	}
	if k == nil || k.truth.awaiting || start.Sub(c.heardOf(k.truth.since)) < underway {
		return
	}
	if after := c.truths[k.number].now(); after.awaiting || after.version != k.truth.version {
		return // it has been changed meanwhile
	}
	if k.truth.hidden {
		c.t.Errorf("%s: version %d is served %s after it was taken back", path, b.Version, start.Sub(k.truth.since))
	}
	if b.Version != k.truth.version {
		c.t.Errorf("%s: version %d is served %s after version %d was taken", path, b.Version, start.Sub(k.truth.since), k.truth.version)
	}
}

// heardOf is when the service could hear of what was acknowledged at a moment: what Kafka had said yes to, and
// had not handed on yet when it went away, nobody can know until it is back.
func (c *crowd) heardOf(since time.Time) time.Time {
	gone, back := time.UnixMilli(c.gone.Load()), time.UnixMilli(c.back.Load())
	switch {
	case c.gone.Load() == 0 || since.Before(gone.Add(-time.Second)):
		return since
	case c.back.Load() == 0:
		return time.Now()
	case since.Before(back):
		return back
	}
	return since
}

func (c *crowd) count(a told) {
	if a.code != http.StatusOK {
		c.t.Errorf("answered %d, with a default body that could stand in", a.code)
	}
	if a.stoodIn {
		c.defaults.Add(1)
	}
	if a.age != "" {
		c.aged.Add(1)
	}
}

func (c *crowd) report(l load, took []time.Duration, changes int64) {
	c.t.Helper()
	slices.Sort(took)
	if len(took) < 100 || changes < enoughChanges || c.defaults.Load() == 0 {
		c.t.Fatalf("too little has happened: %d answers (%d stand-ins), %d changes", len(took), c.defaults.Load(), changes)
	}
	p99 := took[len(took)*99/100]
	c.t.Logf("%d connections, %d items, %d changes: %d answers, %d of them stand-ins, %d with their age; median %s, p99 %s, longest %s",
		l.connections, l.items, changes, len(took), c.defaults.Load(), c.aged.Load(), took[len(took)/2], p99, took[len(took)-1])
	if l.p99 > 0 && p99 > l.p99 {
		c.t.Errorf("p99 is %s, more than %s", p99, l.p99)
	}
}

// everythingStands reads every item until it is as it was said last.
func (c *crowd) everythingStands() {
	c.t.Helper()
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		c.t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	deadline := time.Now().Add(30 * time.Second)
	for i := range c.truths {
		for {
			tr := c.truths[i].now()
			a, err := ask(conn, in, "banners/item-"+strconv.Itoa(i))
			if err != nil {
				c.t.Fatal(err)
			}
			shown := !tr.hidden && (tr.until == 0 || time.Now().UnixMilli() < tr.until)
			if shown && len(a.bodies) == 1 && a.bodies[0].Version == tr.version || !shown && len(a.bodies) == 0 {
				break
			}
			if time.Now().After(deadline) {
				c.t.Fatalf("item %d: %+v, and it ought to be %+v", i, a, &tr)
			}
			<-time.After(5 * time.Millisecond)
		}
	}
}

// served is a body that says what it is.
type served struct {
	Number  int
	Version int64
	Until   int64
}

// told is an answer.
type told struct {
	code    int
	took    time.Duration // until it was there to its last byte
	age     string
	stoodIn bool
	bodies  []served // none of a stand-in
}

// ask sends a request and reads its answer.
func ask(conn net.Conn, in *bufio.Reader, path string) (a told, err error) {
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return a, err
	}
	start := time.Now()
	if _, err := io.WriteString(conn, "GET /v1/content/"+path+" HTTP/1.1\r\nHost: content\r\n\r\n"); err != nil {
		return a, err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	var page struct {
		OK, Default bool
		Body        served
		Items       []struct{ Body served }
	}
	text, err := io.ReadAll(resp.Body)
	a.took = time.Since(start)
	if err == nil {
		err = json.Unmarshal(text, &page)
	}
	if err != nil {
		return a, fmt.Errorf("reading %d with %.100s: %w", resp.StatusCode, text, err)
	}
	a.code, a.age, a.stoodIn = resp.StatusCode, resp.Header.Get("X-Content-Age"), page.Default
	switch {
	case !page.OK:
		return a, errors.New("it is not ok: " + string(text))
	case page.Default:
	case page.Items != nil:
		for _, item := range page.Items {
			a.bodies = append(a.bodies, item.Body)
		}
	default:
		a.bodies = []served{page.Body}
	}
	return a, nil
}

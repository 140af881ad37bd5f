package chaos

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// processHeader is in every request of a sink: which start of currents-fanout made it.
const processHeader = "X-Process"

// end is the far end of an HTTP sink. It keeps which events came, in which order, and who brought them last.
type end struct {
	name   string
	addr   string
	after  [2]time.Duration // an answer takes as long as something between them
	failOf int              // of so many requests about one is answered 500; none when 0
	crew   *crew
	since  func() time.Duration // the story began

	mu   sync.Mutex
	dice *rand.Rand
	got  receiver
	last []visit // of each event
}

// visit is who brought an event, 0 for nobody, and when.
type visit struct {
	by uint16
	at time.Duration // since the story began
}

// crew numbers the starts of processes, from 1 on.
type crew struct {
	mu      sync.Mutex
	numbers map[string]uint16
}

func (c *crew) number(name string) uint16 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, known := c.numbers[name]
	if !known {
		n = uint16(len(c.numbers) + 1)
		c.numbers[name] = n
	}
	return n
}

// newEnd reserves an address. Nobody listens there before open.
func newEnd(t *testing.T, name string, events int, seed uint64, c *crew, since func() time.Duration) *end {
	t.Helper()
	addr, err := freeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return &end{name: name, addr: addr, crew: c, since: since, dice: rand.New(rand.NewPCG(seed, 7)), last: make([]visit, events), got: receiver{name: name}}
}

func (e *end) open(t *testing.T) error {
	listener, err := net.Listen("tcp", e.addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: e, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return nil
}

// ServeHTTP takes what comes at once, so that no answer that is long in coming puts a request behind another.
func (e *end) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // whoever sent it is no more
	}
	numbers, err := numbersIn(body)
	status, wait := e.take(numbers, err, e.crew.number(r.Header.Get(processHeader)))
	if wait > 0 {
		_ = pause(r.Context(), wait)
	}
	w.WriteHeader(status)
}

func (e *end) take(numbers []int32, err error, by uint16) (status int, wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.got.requests++
	now := e.since()
	if e.after[1] > 0 {
		wait = e.after[0] + time.Duration(e.dice.Int64N(int64(e.after[1]-e.after[0])))
	}
	if err != nil {
		e.got.strange = append(e.got.strange, err.Error())
	}
	if e.failOf > 0 && e.dice.IntN(e.failOf) == 0 {
		e.got.failed++
		return http.StatusInternalServerError, wait
	}
	for _, n := range numbers {
		switch {
		case int(n) >= len(e.last):
			e.got.strange = append(e.got.strange, fmt.Sprintf("event %d", n))
			continue
		case e.last[n].by == 0:
			e.got.first = append(e.got.first, n)
		default:
			e.got.again = append(e.got.again, repeated{n, by, e.last[n].by, span{e.last[n].at, now}})
		}
		e.last[n] = visit{by, now}
	}
	return http.StatusOK, wait
}

// numbersIn are the numbers of the events of an array.
func numbersIn(body []byte) (numbers []int32, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(body))
	token, err := d.ReadToken()
	if err != nil || token.Kind() != '[' {
		return nil, fmt.Errorf("a body that is no array: %.100q: %w", body, err)
	}
	for d.PeekKind() != ']' {
		value, err := d.ReadValue()
		if err != nil {
			return numbers, fmt.Errorf("reading an event: %w", err)
		}
		n, err := numberIn(value)
		if err != nil {
			return numbers, err
		}
		numbers = append(numbers, n)
	}
	return numbers, nil
}

// numberIn is the number of an event.
func numberIn(value []byte) (int32, error) {
	_, rest, found := bytes.Cut(value, []byte(`"id":"`))
	if !found || len(rest) < len(uuidForm) {
		return 0, fmt.Errorf("an event without an id: %.200q", value)
	}
	return numberOf(string(rest[:len(uuidForm)]))
}

const uuidForm = "00000000-0000-0000-0000-000000000000"

// numberOf is the number of the event with an id: sample events end in it.
func numberOf(id string) (int32, error) {
	if len(id) != len(uuidForm) {
		return 0, fmt.Errorf("id %q", id)
	}
	n, err := strconv.ParseInt(id[len(id)-12:], 16, 32)
	if err != nil {
		return 0, fmt.Errorf("id %q: %w", id, err)
	}
	return int32(n), nil
}

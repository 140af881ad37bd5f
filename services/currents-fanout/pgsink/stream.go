package pgsink

import (
	"io"
	"slices"
	"sync"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// stream is a group's events in COPY's binary form. They are made while the server takes them, so that a batch is not in
// memory a second time.
//
// A COPY that fails may return while its goroutine still reads: stop must come before the batch is given back.
type stream struct {
	*row
	mu      sync.Mutex
	stopped bool
	batch   []*sink.Event
	events  []int
	next    int    // index of events; -1 before the header, len(events) before the trailer
	buffer  []byte // made and not yet read
	read    int    // of the buffer
	repairs int
}

func (r *row) stream(p *plan, batch []*sink.Event, events []int) *stream {
	r.plan = p
	r.cells = slices.Grow(r.cells[:0], len(p.columns))[:len(p.columns)]
	return &stream{row: r, batch: batch, events: events, next: -1, buffer: r.buffer[:0]}
}

// stop returns when nobody reads, and nobody will.
func (s *stream) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
}

// Read implements [io.Reader].
func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return 0, io.ErrClosedPipe
	}
	if s.read == len(s.buffer) {
		s.buffer, s.read = s.buffer[:0], 0
		for len(s.buffer) < len(p) && s.next <= len(s.events) {
			s.more()
		}
		if len(s.buffer) == 0 {
			return 0, io.EOF
		}
	}
	n := copy(p, s.buffer[s.read:])
	s.read += n
	return n, nil
}

func (s *stream) more() {
	switch {
	case s.next < 0:
		s.buffer = append(s.buffer, copyHeader...)
	case s.next < len(s.events):
		if s.row.fill(s.batch[s.events[s.next]]) {
			s.repairs++
		}
		s.buffer = appendRow(s.buffer, s.plan.columns, s.cells)
	default:
		s.buffer = append(s.buffer, copyTrailer...)
		s.row.keepBuffer(s.buffer)
	}
	s.next++
}

func (r *row) keepBuffer(b []byte) {
	if cap(b) <= most {
		r.buffer = b
	}
}

package braze

import (
	"errors"
	"io"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
)

// progress follows how much of a request has left, because after a failure that decides whether it can
// be sent again without harm.
type progress struct{ state atomic.Int32 }

const (
	untouched   int32 = iota // no connection yet, or one on which nothing was written
	begun                    // the header at least may have left
	interrupted              // writing failed: the other side has not got all of it
)

// trace reports into p. The transport fills its buffer with the header, then says WroteHeaders, and
// only then flushes what the other side needs to make sense of the request; and it closes the
// connection before it reports a failure. So if WroteHeaders has not been said by then, nothing
// that could be acted on has left or ever will.
func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		// Called once more when the transport begins anew, having written nothing the first time.
		GetConn:      func(string) { p.state.Store(untouched) },
		WroteHeaders: func() { p.state.Store(begun) },
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if info.Err != nil {
				p.state.Store(interrupted)
			}
		},
	}
}

// nothing reports whether the other side cannot have got the whole request. A part of it is as good as
// nothing: a JSON text without its end is not one.
func (p *progress) nothing() bool {
	return p.state.Load() != begun
}

// payload is a request's body, which its owner takes back when the call is over. A transport may
// still be reading then: the answer came early, or the time was up. Waiting for it could take long,
// and a copy of every body would be dear.
type payload struct {
	mu      sync.Mutex
	data    []byte
	revoked bool
}

var errRevoked = errors.New("the call is over")

func (p *payload) revoke() {
	p.mu.Lock()
	p.data, p.revoked = nil, true
	p.mu.Unlock()
}

// payloadReader reads a payload from its beginning.
type payloadReader struct {
	payload *payload
	read    int
}

func (r *payloadReader) Read(b []byte) (int, error) {
	r.payload.mu.Lock()
	defer r.payload.mu.Unlock()
	if r.payload.revoked {
		return 0, errRevoked
	}
	n := copy(b, r.payload.data[r.read:])
	r.read += n
	if r.read == len(r.payload.data) {
		return n, io.EOF
	}
	return n, nil
}

func (r *payloadReader) Close() error { return nil }

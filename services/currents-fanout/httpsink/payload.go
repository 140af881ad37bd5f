package httpsink

import (
	"errors"
	"io"
	"sync"
)

// payload is a request's body, which its owner takes back when the call is over. A transport may still be
// reading then: the answer came early, or the time was up. Waiting for it could take long, and a copy
// of every body would be dear.
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

func (p *payload) reader() (io.ReadCloser, error) { return &payloadReader{payload: p}, nil }

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

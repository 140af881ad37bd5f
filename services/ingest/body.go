package ingest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// readBody reads the body whole, within bounds that hold before a byte of it is read.
func (rq *request) readBody(r *http.Request) error {
	return rq.readBodyWithin(r, rq.service.options.MaxBody)
}

// readBodyWithin reads a body of at most limit bytes, compressed or not. Where it is compressed and broken, what
// came is left in rq.packed.
func (rq *request) readBodyWithin(r *http.Request, limit int) error {
	if r.ContentLength > int64(limit) {
		return errTooLarge(limit)
	}
	switch strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))) { // RFC 9110, 8.4.1: case does not matter
	case "", "identity":
		return rq.readAll(r.Body, int(r.ContentLength), limit, errCutOff)
	case "gzip", "x-gzip":
		return rq.readGzip(r, limit)
	}
	return errEncoding
}

// readOrKeep is readBodyWithin for who would not send again what is refused: of a body in an encoding that is not
// known, or that is not in the one it names, it leaves what came in rq.body, and unread says why.
func (rq *request) readOrKeep(r *http.Request, limit int) (unread, err error) {
	err = rq.readBodyWithin(r, limit)
	switch {
	case errors.Is(err, errEncoding):
		return err, rq.readAll(r.Body, int(r.ContentLength), limit, errCutOff)
	case errors.Is(err, errGzip) && len(rq.packed) > 0:
		rq.body, rq.packed = rq.packed, rq.body[:0]
		return err, nil
	}
	return nil, err
}

// A body gets room for what is declared at once, if it is not much; for more only as it comes, so that
// a promise costs nothing.
const (
	leastRoom = 4 << 10
	mostRoom  = 64 << 10
)

// readAll reads until the end. Trouble other than slowness is reported as broken.
func (rq *request) readAll(from io.Reader, declared, limit int, broken error) error {
	room := min(max(declared+1, leastRoom), mostRoom) // one more, so that the end is seen
	for {
		if len(rq.body) > limit {
			return errTooLarge(limit)
		}
		end := min(len(rq.body)+room, limit+1)
		if !rq.makeHeld(int64(end + len(rq.packed))) {
			return errBusy
		}
		rq.body = slices.Grow(rq.body, end-len(rq.body))
		for len(rq.body) < end {
			n, err := from.Read(rq.body[len(rq.body):end])
			rq.body = rq.body[:len(rq.body)+n]
			switch {
			case err == nil:
			case errors.Is(err, io.EOF) && len(rq.body) <= limit:
				return nil
			case errors.Is(err, io.EOF):
				return errTooLarge(limit)
			case isTimeout(err):
				return errSlow
			default:
				return broken
			}
		}
		room = len(rq.body)
	}
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

var gunzips = sync.Pool{New: func() any { return new(gzip.Reader) }}

// readGzip reads what came before it unpacks anything: it is needed whole where it turns out not to be what it
// says.
func (rq *request) readGzip(r *http.Request, limit int) error {
	if err := rq.readAll(r.Body, int(r.ContentLength), limit, errCutOff); err != nil {
		return err
	}
	if len(rq.body) == 0 {
		return nil
	}
	rq.packed, rq.body = rq.body, rq.packed[:0]
	z := gunzips.Get().(*gzip.Reader)
	defer gunzips.Put(z)
	if z.Reset(bytes.NewReader(rq.packed)) != nil {
		return errGzip
	}
	return rq.readAll(z, 0, limit, errGzip)
}

// makeHeld counts the request's body as held up to n bytes, unless too much is held already.
func (rq *request) makeHeld(n int64) bool {
	s := rq.service
	if more := n - rq.held; more > 0 {
		if s.held.Add(more) > s.options.MaxHeld {
			s.held.Add(-more)
			return false
		}
		rq.held = n
	}
	return true
}

// unhold ends the count.
func (rq *request) unhold() {
	rq.service.held.Add(-rq.held)
	rq.held = 0
}

package brazefake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

// tooLarge refuses a body; /users/track/bulk answers 400 and not 413 (braze-docs: post_user_track_bulk).
func (s *Sandbox) tooLarge(c *call) reply {
	s.violations.add(fmt.Sprintf("request %d is larger than %d bytes", c.number, c.endpoint.MaxBody))
	status := http.StatusRequestEntityTooLarge
	if c.endpoint == braze.UsersTrackBulk {
		status = http.StatusBadRequest
	}
	return fatal(status, fmt.Sprintf("the body is larger than %d MB", c.endpoint.MaxBody>>20))
}

// gate is what is asked before the body is read. The zero reply lets the request through.
func (s *Sandbox) gate(c *call, h http.Header, r *http.Request) reply {
	h.Set("X-Request-Id", "sandbox-"+strconv.FormatInt(c.number, 10))
	if c.knobs.Down {
		c.mishap = mishap{status: http.StatusServiceUnavailable}
		return fault(c.mishap.status)
	}
	if r.Method != c.endpoint.Method {
		h.Set("Allow", c.endpoint.Method)
		return fatal(http.StatusMethodNotAllowed, "only "+c.endpoint.Method+" is allowed")
	}
	if status, message := s.authorize(r, c.endpoint.Permission); status != 0 {
		return fatal(status, message)
	}
	if status, message := acceptable(r); status != 0 {
		return fatal(status, message)
	}
	// Whether a send is a broadcast, and draws from another pool, its body says.
	if !sendsMessages(c.endpoint) {
		if answer := s.spend(c, h, c.endpoint.Pool); answer.status != 0 {
			return answer
		}
	}
	if chance(c.dice, c.knobs.P429) {
		c.mishap = mishap{status: http.StatusTooManyRequests}
		clearQuota(h)
		limit := c.endpoint.Pool.Rate.Count
		if rate := c.knobs.rateOf(c.endpoint.Pool); !rate.IsZero() {
			limit = rate.Count
		}
		quotaHeaders(h, &c.knobs, limit, true, 0, c.at, c.at.Add(c.knobs.RetryAfter))
		return fatal(http.StatusTooManyRequests, "Rate limit exceeded")
	}
	return reply{}
}

var errTooLarge = errors.New("too large")

// readBody reads a body of at most that many bytes.
func (s *Sandbox) readBody(w http.ResponseWriter, r *http.Request, buf *bytes.Buffer, most int64) ([]byte, error) {
	// The deadline is lifted again because the server goes on reading, to learn when the client leaves.
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout))
	defer func() { _ = conn.SetReadDeadline(time.Time{}) }()
	if n := r.ContentLength; n > 0 && n <= most {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(io.LimitReader(r.Body, most+1))
	if err == nil && int64(buf.Len()) > most {
		_, _ = io.CopyN(io.Discard, r.Body, maxDrained)
		return buf.Bytes(), errTooLarge
	}
	return buf.Bytes(), err
}

package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is a connection whose other end sent b, in pieces of at most step bytes.
type wire struct {
	net.Conn
	b      []byte
	step   int
	closed bool
}

func (w *wire) Read(p []byte) (int, error) {
	if w.closed {
		return 0, net.ErrClosed
	}
	if len(w.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), w.step)], w.b)
	w.b = w.b[n:]
	return n, nil
}

func (w *wire) Close() error { w.closed = true; return nil }

// passed is what kfake would see of sent, and the error it ends with.
func passed(sent []byte, step int) (saw []byte, err error, closed bool) {
	w := &wire{b: sent, step: step}
	c := &guardConn{Conn: w, guard: newGuard(nil), gone: make(chan struct{})}
	p := make([]byte, 1+step/2)
	for {
		n, err := c.Read(p)
		saw = append(saw, p[:n]...)
		if err != nil {
			return saw, err, w.closed
		}
	}
}

// frame is a request with the given length, API key and body.
func frame(size int32, key int16, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(size))
	return append(binary.BigEndian.AppendUint16(b, uint16(key)), body...)
}

func TestGuardPassesKafkaAndNothingElse(t *testing.T) {
	metadata := frame(10, 3, "\x00\x01\x00\x00\x00\x01\x00\x00")
	for _, tt := range []struct {
		name string
		sent []byte
		want []byte // what comes through
		err  error
	}{
		{name: "nothing", err: io.EOF},
		{name: "one request", sent: metadata, want: metadata, err: io.EOF},
		{name: "two requests at once", sent: append(bytes.Clone(metadata), metadata...), want: append(bytes.Clone(metadata), metadata...), err: io.EOF},
		{name: "a request that is cut off", sent: metadata[:9], want: metadata[:9], err: io.EOF},
		{name: "a header that is cut off", sent: metadata[:5], err: io.EOF},
		{name: "a length of minus one", sent: frame(-1, 3, ""), err: errNotKafka},
		{name: "a length of minus one and no more", sent: frame(-1, 3, "")[:4], err: errNotKafka},
		{name: "a length of nothing", sent: frame(0, 3, ""), err: errNotKafka},
		{name: "a length shorter than any header", sent: frame(minFrame-1, 3, "12345"), err: errNotKafka},
		{name: "a length longer than any request", sent: frame(maxFrame+1, 0, "1234"), err: errNotKafka},
		{name: "the longest length", sent: frame(maxFrame, 0, "1234"), want: frame(maxFrame, 0, "1234"), err: io.EOF},
		{name: "an API key nobody knows", sent: frame(10, 999, "12345678"), err: errNotKafka},
		{name: "a negative API key", sent: frame(10, -1, "12345678"), err: errNotKafka},
		{name: "a web browser", sent: []byte("GET / HTTP/1.1\r\nHost: localhost:9092\r\n\r\n"), err: errNotKafka},
		{name: "a TLS client", sent: []byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), err: errNotKafka},
		{name: "a stranger after a request", sent: append(bytes.Clone(metadata), "GET / HTTP/1.1"...), want: metadata, err: errNotKafka},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, step := range []int{1, 2, 3, 5, 7, 4096} {
				got, err, closed := passed(tt.sent, step)
				if diff := cmp.Diff(string(tt.want), string(got)); diff != "" {
					t.Errorf("step %d: came through (-want +got):\n%s", step, diff)
				}
				if !errors.Is(err, tt.err) {
					t.Errorf("step %d: got error %v, want %v", step, err, tt.err)
				}
				if refused := errors.Is(tt.err, errNotKafka); closed != refused {
					t.Errorf("step %d: connection closed: %v, want %v", step, closed, refused)
				}
			}
		})
	}
}

// wanted is what should come through of sent, said as plainly as possible.
func wanted(sent []byte) (want []byte) {
	for len(sent) >= headerSize {
		size := int32(binary.BigEndian.Uint32(sent))
		key := int16(binary.BigEndian.Uint16(sent[4:]))
		if size < minFrame || size > maxFrame || kmsg.RequestForKey(key) == nil {
			break
		}
		end := min(len(sent), 4+int(size))
		want, sent = append(want, sent[:end]...), sent[end:]
	}
	return want
}

func FuzzGuard(f *testing.F) {
	f.Add(frame(10, 3, "\x00\x01\x00\x00\x00\x01\x00\x00"), uint8(1))
	f.Add(append(frame(8, 18, "\x00\x00\x00\x00\x00\x01"), frame(-1, 3, "")...), uint8(3))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(200))
	f.Fuzz(func(t *testing.T, sent []byte, step uint8) {
		got, err, closed := passed(sent, max(1, int(step)))
		if diff := cmp.Diff(wanted(sent), got); diff != "" {
			t.Errorf("came through (-want +got):\n%s", diff)
		}
		if refused := errors.Is(err, errNotKafka); refused != closed || !refused && !errors.Is(err, io.EOF) {
			t.Errorf("ended with %v, closed %v", err, closed)
		}
	})
}

// A port that is out of file descriptors for a moment must not be deaf for ever.
func TestGuardGoesOnAcceptingAfterAnError(t *testing.T) {
	theirs, ours := net.Pipe()
	g := newGuard(&stumbling{errs: []error{errors.New("too many open files")}, conn: ours})
	conn, err := g.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(conn.Close(), theirs.Close()); err != nil {
		t.Error(err)
	}
	if _, err := g.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after closing: got error %v, want %v", err, net.ErrClosed)
	}
}

// stumbling is a listener that fails with errs, then accepts conn, then is closed.
type stumbling struct {
	errs []error
	conn net.Conn
}

func (s *stumbling) Accept() (net.Conn, error) {
	if len(s.errs) > 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return nil, err
	}
	if s.conn != nil {
		conn := s.conn
		s.conn = nil
		return conn, nil
	}
	return nil, net.ErrClosed
}

func (*stumbling) Close() error   { return nil }
func (*stumbling) Addr() net.Addr { return nil }

func TestGuardCountsOnlyTheRequestsThatWrite(t *testing.T) {
	g := newGuard(nil)
	body := "\x00\x00\x00\x00\x00\x01"
	for _, key := range []kmsg.Key{kmsg.Fetch, kmsg.Metadata, kmsg.Produce, kmsg.Heartbeat, kmsg.Produce, kmsg.EndTxn, kmsg.CreateTopics} {
		c := &guardConn{Conn: &wire{b: frame(8, int16(key), body), step: 64}, guard: g, gone: make(chan struct{})}
		if _, err := io.ReadAll(c); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.writes.Load(); got != 4 {
		t.Errorf("got %d writes, want 4", got)
	}
}

func TestCleanerSkipsWhatNobodyWroteTo(t *testing.T) {
	var written uint64
	runs := 0
	c := &cleaner{clean: func() { runs++ }, written: func() uint64 { return written }}
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, step := range []struct {
		name  string
		after time.Duration
		write uint64
		want  int
	}{
		{name: "the first tick cleans what an earlier life left", after: time.Minute, want: 1},
		{name: "nothing written, nothing to clean", after: 2 * time.Minute, want: 1},
		{name: "a write is followed by a run", after: 3 * time.Minute, write: 1, want: 2},
		{name: "which is enough for it", after: 4 * time.Minute, want: 2},
		{name: "records age without writes", after: 64 * time.Minute, want: 3},
		{name: "not twice", after: 65 * time.Minute, want: 3},
	} {
		written += step.write
		c.tick(noon.Add(step.after))
		if runs != step.want {
			t.Errorf("%s: got %d runs, want %d", step.name, runs, step.want)
		}
	}
}

package embedded

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxFrame is the longest request let through, as Kafka's socket.request.max.bytes.
	maxFrame = 100 << 20
	// minFrame is the shortest header: API key, version, correlation id.
	minFrame = 8
	// headerSize is as much of a frame as is judged before any of it is let through: four bytes of
	// length, two of API key.
	headerSize = 6
	// acceptPause is the wait after a connection could not be accepted.
	acceptPause = 50 * time.Millisecond
)

// writing are the requests after which there may be something to clean.
var writing = []kmsg.Key{kmsg.Produce, kmsg.EndTxn, kmsg.DeleteRecords, kmsg.CreateTopics, kmsg.AlterConfigs, kmsg.IncrementalAlterConfigs}

// errNotKafka is what kfake reads from a connection that sends something else.
var errNotKafka = errors.New("not a Kafka request")

// guard is the listener kfake accepts from. It holds every frame's header back until it is known to
// be one that kfake can take: an unknown API key dereferences nil there, a length of −1 allocates
// 4 GiB, and "GET " is a frame of 1.2 GB. Either ends the process or nearly so.
//
// It also counts the requests that write, which tells the cleaner when there is nothing to clean,
// and knows every connection, so that a test can cut or freeze them.
type guard struct {
	net.Listener
	writes atomic.Uint64
	ice    ice

	mu    sync.Mutex
	conns map[*guardConn]struct{}
	shut  bool
}

func newGuard(ln net.Listener) *guard {
	return &guard{Listener: ln, conns: make(map[*guardConn]struct{})}
}

// Accept implements [net.Listener]. It outlasts everything but closing, for kfake stops listening at
// the first error: a moment without file descriptors would leave a broker that answers nobody.
func (g *guard) Accept() (net.Conn, error) {
	conn, err := g.Listener.Accept()
	for err != nil && !errors.Is(err, net.ErrClosed) {
		<-time.After(acceptPause)
		conn, err = g.Listener.Accept()
	}
	if err != nil {
		return nil, err
	}
	c := &guardConn{Conn: conn, guard: g, gone: make(chan struct{})}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut { // accepted in the instant of closing
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	g.conns[c] = struct{}{}
	return c, nil
}

// dropConns closes the connections there are and says how many.
func (g *guard) dropConns() int {
	g.mu.Lock()
	conns := make([]*guardConn, 0, len(g.conns))
	for c := range g.conns {
		conns = append(conns, c)
	}
	g.mu.Unlock()
	for _, c := range conns {
		_ = c.Close() // the peer may have been quicker
	}
	return len(conns)
}

// closeConns closes the listener and every connection, also one that is being accepted.
func (g *guard) closeConns() error {
	g.mu.Lock()
	g.shut = true
	g.mu.Unlock()
	g.dropConns()
	if err := g.Listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the embedded kafka's port: %w", err)
	}
	return nil
}

// guardConn lets only Kafka frames through. It is read by one goroutine and written by one.
type guardConn struct {
	net.Conn
	guard *guard
	gone  chan struct{}
	close sync.Once

	header [headerSize]byte
	judged bool // the header is whole, found good, and being handed out
	have   int  // bytes of header received
	handed int  // bytes of header handed out
	body   int  // bytes of the frame still to pass after its header
}

// Read implements [net.Conn]. It returns no byte of a frame whose header it has not judged.
func (c *guardConn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if !c.judged && c.body == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if c.judged {
		n := copy(p, c.header[c.handed:])
		if c.handed += n; c.handed == headerSize {
			c.judged, c.have, c.handed = false, 0, 0
		}
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.body)])
	c.body -= n
	return n, err
}

// next receives a header and judges it: the length as soon as it is there, for a stranger may be
// waiting for an answer and send no more.
func (c *guardConn) next() error {
	for c.have < headerSize {
		n, err := c.Conn.Read(c.header[c.have:])
		if c.have += n; c.have >= 4 {
			if size := int32(binary.BigEndian.Uint32(c.header[:])); size < minFrame || size > maxFrame {
				return c.refuse(fmt.Errorf("%w: a frame of %d bytes", errNotKafka, size))
			}
		}
		if err != nil && c.have < headerSize {
			return err
		}
	}
	key := int16(binary.BigEndian.Uint16(c.header[4:]))
	if kmsg.RequestForKey(key) == nil {
		return c.refuse(fmt.Errorf("%w: API key %d", errNotKafka, key))
	}
	if slices.Contains(writing, kmsg.Key(key)) {
		c.guard.writes.Add(1)
	}
	c.judged = true
	c.body = int(binary.BigEndian.Uint32(c.header[:])) - (headerSize - 4)
	return c.guard.ice.wait(c.gone)
}

func (c *guardConn) refuse(why error) error {
	return errors.Join(why, c.Close())
}

// Write implements [net.Conn].
func (c *guardConn) Write(p []byte) (int, error) {
	if err := c.guard.ice.wait(c.gone); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Close implements [net.Conn].
func (c *guardConn) Close() error {
	c.close.Do(func() {
		close(c.gone)
		c.guard.mu.Lock()
		delete(c.guard.conns, c)
		c.guard.mu.Unlock()
	})
	return c.Conn.Close()
}

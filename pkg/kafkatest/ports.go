package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are drawn from below the range that systems hand out by themselves (32768 and up on Linux, 49152 on macOS).
// A port from that range could become some client's own end while a killed broker is down, and the broker could not
// come back to it.
const (
	firstPort = 20000
	lastPort  = 31999
)

// freePorts finds n different ports on 127.0.0.1 that nobody listens on. They are free at the time of the answer and
// not reserved: whoever uses them must be ready to try again.
func freePorts(ctx context.Context, n int) ([]int, error) {
	var (
		listen net.ListenConfig
		held   []net.Listener
		ports  []int
		last   error
	)
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for range 100 * n {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		l, err := listen.Listen(ctx, "tcp", addr(port))
		if err != nil {
			last = err
			continue
		}
		held = append(held, l) // until all are found, so that none is found twice
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("finding %d free ports: %w", n, errors.Join(last, ctx.Err()))
}

// addr is the address of a port of ours. IPv4 and by number: "localhost" may be ::1 to one side only.
func addr(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

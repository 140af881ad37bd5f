// Package embedded is a schema registry inside the process: for `sluice run`, for trying things out
// and for tests. It speaks Confluent's HTTP API as far as clients and serializers use it, for Avro,
// and means it: a schema is parsed by two parsers before it gets an id, and a new version is checked
// against the earlier ones by the subject's level.
//
//   - server.go answers HTTP, on loopback only.
//   - subjects.go is what the registry knows: ids, subjects, versions, levels and modes.
//   - journal.go keeps it in a file, beside the log of the embedded broker whose records it explains.
//
// It refuses what it would only pretend to do: schema references, types other than Avro, import mode.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config says where the registry listens and keeps its schemas.
type Config struct {
	// Addr is the port to listen on: ":8085" or "127.0.0.1:8085"; ":0" and "" pick a free port. The
	// host is always loopback, and any other is refused.
	Addr string
	// Dir is the folder of the journal, made when missing. Empty means that nothing is kept.
	Dir string
	// Log takes what goes wrong inside, a line each; nil drops it.
	Log func(line string)
}

// closeTimeout is how long Close waits for requests under way.
const closeTimeout = 5 * time.Second

// Registry is a running schema registry.
type Registry struct {
	addr   string
	http   *http.Server
	known  *subjects
	served sync.WaitGroup
	close  sync.Once
	closed error
}

// Start opens the journal and serves until [Registry.Close]; ctx bounds only the start.
func Start(ctx context.Context, cfg Config) (*Registry, error) {
	addr, err := loopback(cfg.Addr)
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded registry: %w", err)
	}
	known, err := openSubjects(cfg.Dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the embedded registry: %w", err), ln.Close())
	}
	r := &Registry{
		addr:  ln.Addr().String(),
		known: known,
		http: &http.Server{
			Handler:           handler(known),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       30 * time.Second,
			WriteTimeout:      time.Minute,
			IdleTimeout:       2 * time.Minute,
			MaxHeaderBytes:    64 << 10,
			ErrorLog:          log.New(lineWriter(cfg.Log), "embedded registry: ", 0),
		},
	}
	r.served.Go(func() {
		if err := r.http.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			cfg.Log("embedded registry: " + err.Error())
		}
	})
	return r, nil
}

// Addr is where the registry listens, such as "127.0.0.1:8085".
func (r *Registry) Addr() string { return r.addr }

// URL is the base URL for clients.
func (r *Registry) URL() string { return "http://" + r.addr }

// Close lets requests under way finish and gives the port and the journal free. Closing again does
// nothing.
func (r *Registry) Close() error {
	r.close.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		err := r.http.Shutdown(ctx)
		if err != nil {
			err = errors.Join(fmt.Errorf("closing the embedded registry: %w", err), r.http.Close())
		}
		r.served.Wait()
		r.closed = errors.Join(err, r.known.close())
	})
	return r.closed
}

// loopback turns ":8085" into "127.0.0.1:8085" and refuses what others could reach: there is no
// authentication here.
func loopback(addr string) (string, error) {
	if addr == "" {
		addr = ":0"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("starting the embedded registry: reading address %q: %w", addr, err)
	}
	if host == "" {
		host = "localhost"
	}
	if !local(host) {
		return "", fmt.Errorf("starting the embedded registry: address %q: want a loopback address such as :8085 or 127.0.0.1:8085", addr)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port), nil
}

// local says whether a host is this machine and no other.
func local(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// lineWriter is a writer that hands on lines.
type lineWriter func(string)

// Write implements [io.Writer].
func (w lineWriter) Write(p []byte) (int, error) {
	w(strings.TrimRight(string(p), "\n"))
	return len(p), nil
}

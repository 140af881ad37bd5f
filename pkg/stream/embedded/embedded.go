// Package embedded is a Kafka inside the process: for `sluice run`, for trying things out and for
// tests. It speaks the protocol, so every client works against it, in this process or another. It
// is one node without replicas, and never a production broker.
//
// The broker itself is franz-go's kfake. This package makes it safe to leave running:
//
//   - guard.go stands at the port. What is not a Kafka frame closes its connection; kfake would end
//     the process over it.
//   - bounds.go answers the well-formed requests that kfake would obey to death: a topic of two
//     billion partitions, a retention of "banana".
//   - clean.go runs retention and compaction, which kfake does not resume after a restart.
//   - folder.go keeps two processes out of one data folder.
//   - fault.go breaks things on purpose, for tests.
//
// It listens on loopback only. Topics are not created by naming them, as on a well-kept cluster.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Config says where the broker listens and keeps its log.
type Config struct {
	// Addr is the port to listen on: ":9092" or "127.0.0.1:9092"; ":0" and "" pick a free port. The
	// host is always loopback, and any other is refused.
	Addr string
	// Dir is the data folder, made when missing; records and committed offsets in it survive a
	// restart, also one without Close. Empty means a folder of its own that Close removes. The
	// format belongs to the pinned kfake: treat the folder as disposable.
	Dir string
	// Partitions is how many a topic gets that does not say: 12 when zero.
	Partitions int
	// CleanEvery is the time between runs of retention and compaction: a minute when zero. While
	// compaction runs no client gets an answer: 0.7 s for a million records.
	CleanEvery time.Duration
	// Log takes the broker's warnings, a line each; nil drops them.
	Log func(line string)
}

// Broker is a running Kafka of one node.
type Broker struct {
	cluster *kfake.Cluster
	guard   *guard
	folder  *folder
	clean   *cleaner
	close   sync.Once
	closed  error
}

// Start opens the data folder and serves clients until [Broker.Close]; ctx bounds only the start.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	addr, err := loopback(cfg.Addr)
	if err != nil {
		return nil, err
	}
	if cfg.Partitions == 0 {
		cfg.Partitions = 12
	}
	if cfg.Partitions < 1 || cfg.Partitions > maxPartitions {
		return nil, fmt.Errorf("starting the embedded kafka: %d partitions by default: want 1 to %d", cfg.Partitions, maxPartitions)
	}
	if cfg.CleanEvery == 0 {
		cfg.CleanEvery = time.Minute
	}
	if cfg.CleanEvery < 0 {
		return nil, fmt.Errorf("starting the embedded kafka: cleaning every %v: want more than nothing", cfg.CleanEvery)
	}

	// The port first: it is what is taken most often, and a folder opened in vain would be written.
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the embedded kafka: %w", err)
	}
	dir, err := openFolder(cfg.Dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting the embedded kafka: %w", err), ln.Close())
	}
	b := &Broker{guard: newGuard(ln), folder: dir}
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return b.guard, nil }),
		kfake.DefaultNumPartitions(cfg.Partitions),
		kfake.DataDir(dir.path),
		kfake.MaxVersions(versions()),
		kfake.WithLogger(logger{cfg.Log}),
		kfake.BrokerConfigs(map[string]string{
			// KIP-848 groups settle only on heartbeats; the default is 5 s.
			"group.consumer.heartbeat.interval.ms": "500",
			// Our own cleaner runs instead of kfake's, which starts only once a topic is created or
			// altered. A year: it cannot be switched off.
			"log.cleaner.backoff.ms": "31536000000",
		}),
	)
	if err != nil {
		err = fmt.Errorf("starting the embedded kafka: opening the data folder %s (it is disposable: remove it to start empty): %w", dir.path, err)
		return nil, errors.Join(err, b.guard.closeConns(), dir.close())
	}
	bound(b.cluster)
	b.clean = startCleaner(b.cluster, b.guard, cfg.CleanEvery)
	return b, nil
}

// versions is what the broker offers: everything kfake knows but the newest Produce. Version 13
// names topics by id, and kfake panics when two ids of one request are unknown: which is what an
// ordinary producer sends that was writing to two topics while the broker came back with an empty
// folder. Version 12 names topics by name.
func versions() *kversion.Versions {
	v := kversion.Stable()
	v.SetMaxKeyVersion(int16(kmsg.Produce), 12)
	return v
}

// Addr is where the broker listens, such as "127.0.0.1:9092".
func (b *Broker) Addr() string { return b.guard.Addr().String() }

// Brokers is [Broker.Addr] in the form clients take seed brokers.
func (b *Broker) Brokers() []string { return []string{b.Addr()} }

// Close ends all connections, writes what a restart needs and gives the port and the folder free. A
// broker that dies without it loses no acknowledged record, but may let a producer's retry through
// twice. Closing again does nothing.
func (b *Broker) Close() error {
	b.close.Do(func() {
		b.clean.stop()
		b.cluster.Close()
		b.closed = errors.Join(b.guard.closeConns(), b.folder.close())
	})
	return b.closed
}

// loopback turns ":9092" into "127.0.0.1:9092" and refuses what others could reach: there is no
// authentication here.
func loopback(addr string) (string, error) {
	if addr == "" {
		addr = ":0"
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("starting the embedded kafka: reading address %q: %w", addr, err)
	}
	if host == "" || host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("starting the embedded kafka: address %q: want a loopback address such as :9092 or 127.0.0.1:9092", addr)
	}
	return net.JoinHostPort(host, port), nil
}

// logger hands kfake's warnings and errors on.
type logger struct{ line func(string) }

// Logf implements [kfake.Logger].
func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	if l.line == nil || level == kfake.LogLevelNone || level > kfake.LogLevelWarn {
		return
	}
	l.line("embedded kafka: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
}

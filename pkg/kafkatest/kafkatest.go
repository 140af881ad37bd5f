// Package kafkatest starts a real Apache Kafka, and a real schema registry, for tests.
//
// There is no container engine in it. The broker is the server's own Maven artifacts, run by the Java that is
// installed: one or three JVM processes in KRaft mode, each with its own folder and ports, so that a test can
// kill one with SIGKILL, freeze it with SIGSTOP, and bring it back on the same folder. The registry is Apicurio,
// which speaks the Confluent API.
//
// Most tests want none of this started for them. They call [Brokers], which hands out the cluster that the
// command withkafka started once for the whole test run, and [Prefix], which keeps them out of each other's
// topics. Only a test that harms its cluster starts its own, with [Cluster3] or [StartFor].
//
// The life of a cluster, and where to read about each step:
//
//	find Java          java.go
//	fetch the jars     maven.go, once per user and version; cache.go keeps two processes from doing it twice
//	archive classes    sharedclasses.go, once per JVM; halves the start
//	write properties   properties.go
//	format, start      node.go, process.go
//	wait until ready   ready.go: not a log line, but a topic, a group and a transaction that work
//	harm and restart   node.go
package kafkatest

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"
)

// DefaultVersion is the Apache Kafka that tests run on, unless TEST_KAFKA_VERSION or [Config] names another.
const DefaultVersion = "4.3.1"

// EnvVersion overrides [DefaultVersion].
const EnvVersion = "TEST_KAFKA_VERSION"

// readyLimit is how long a cluster may take from its first process to ready. Two busy cores need a tenth of it.
const readyLimit = 90 * time.Second

// Config says which cluster to start. The zero value is one node of the default version in a folder of its own
// under the system's temporary folder.
type Config struct {
	// Nodes is 1 or 3; 0 means 1. Every node is broker and controller. With three nodes topics default to three
	// copies of which two must be in sync.
	Nodes int
	// Version of Apache Kafka, 4.0.0 or newer; empty means TEST_KAFKA_VERSION, else [DefaultVersion].
	Version string
	// WorkDir is the folder in which the cluster makes its own folder, the one that Close removes; empty means
	// the system's temporary folder.
	WorkDir string
	// Properties are broker settings that override this package's, on every node. Values are written as they are.
	Properties map[string]string
	// Protocol of the clients' listener, which is named CLIENT: PLAINTEXT (when empty), SSL, SASL_PLAINTEXT or
	// SASL_SSL. Properties carry the rest, such as "listener.name.client.scram-sha-512.sasl.jaas.config".
	// Brokers and controllers talk to each other over listeners of their own, which stay plain.
	Protocol string
	// FormatArgs are added to the storage tool's arguments, such as "--add-scram" and its value.
	FormatArgs []string
	// ClientOpts are how the readiness check connects where Protocol is not PLAINTEXT.
	ClientOpts []kgo.Opt
	// JVM options come after this package's, which favour a quick start over throughput; a benchmark gives
	// "-XX:TieredStopAtLevel=4".
	JVM []string
	// Keep lets the brokers outlive this process. Without it they die with it, however it ends (on Linux).
	Keep bool
	// Progress, when set, is told of steps that take long and happen once, such as fetching the jars.
	Progress func(step string)

	archiveTo string // where to dump the class archive when the broker exits, see sharedclasses.go
	findPorts func(ctx context.Context, n int) ([]int, error)
}

// Cluster is a running Kafka. Its methods may be called from several goroutines.
type Cluster struct {
	cfg     Config
	java    javaHome
	jars    []string
	archive string // class archive, or empty
	dir     string
	id      string
	nodes   []*Node
	took    time.Duration

	closing sync.Once
	closed  error
}

// Start brings up a cluster and returns when it is ready: metadata names a controller and every broker, each
// answers ApiVersions, and a topic, a consumer group and a transaction have worked, so that the internal topics
// exist and the first test does not pay for them. It waits at most 90 s, fetching jars not included. An error
// ends in the last hundred lines of the log of the broker it is about.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Nodes == 0 {
		cfg.Nodes = 1
	}
	if cfg.Nodes != 1 && cfg.Nodes != 3 {
		return nil, fmt.Errorf("starting kafka: %d nodes asked for, 1 or 3 are possible", cfg.Nodes)
	}
	if cfg.Version == "" {
		cfg.Version = os.Getenv(EnvVersion)
	}
	if cfg.Version == "" {
		cfg.Version = DefaultVersion
	}
	if cfg.Protocol == "" {
		cfg.Protocol = "PLAINTEXT"
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.findPorts == nil {
		cfg.findPorts = freePorts
	}

	java, err := findJava(17)
	if err != nil {
		return nil, &UnavailableError{err}
	}
	jars, err := kafkaJars(ctx, cfg.Version, cfg.Progress)
	if err != nil {
		return nil, &UnavailableError{err}
	}
	archive := ""
	if cfg.archiveTo == "" {
		archive = brokerArchive(ctx, java, jars, cfg)
	}
	return startAnywhere(ctx, &Cluster{cfg: cfg, java: java, jars: jars, archive: archive})
}

// UnavailableError says that the machine lacks what a real Kafka takes: a Java, or jars in the cache, or a Maven and a
// network to fetch them. Any other error of a start is a fault.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string { return e.Err.Error() }
func (e *UnavailableError) Unwrap() error { return e.Err }

// startAnywhere starts the cluster on free ports, and on others where someone was quicker to take them.
func startAnywhere(ctx context.Context, spec *Cluster) (*Cluster, error) {
	const tries = 3
	for try := 1; ; try++ {
		c := &Cluster{cfg: spec.cfg, java: spec.java, jars: spec.jars, archive: spec.archive}
		err := c.start(ctx)
		if err == nil {
			return c, nil
		}
		clash := c.portTaken()
		err = errors.Join(err, c.Close())
		if !clash || try == tries || ctx.Err() != nil {
			return nil, fmt.Errorf("starting kafka %s: %w", c.cfg.Version, err)
		}
	}
}

func (c *Cluster) start(ctx context.Context) error {
	began := time.Now()
	dir, err := os.MkdirTemp(c.cfg.WorkDir, "kafkatest-")
	if err != nil {
		return fmt.Errorf("making the cluster's folder: %w", err)
	}
	c.dir = dir
	c.id = randomID()

	const listeners = 3 // clients, brokers, controllers
	ports, err := c.cfg.findPorts(ctx, listeners*c.cfg.Nodes)
	if err != nil {
		return err
	}
	for i := range c.cfg.Nodes {
		c.nodes = append(c.nodes, &Node{
			cluster:     c,
			id:          i + 1,
			dir:         filepath.Join(dir, fmt.Sprintf("node-%d", i+1)),
			directoryID: randomID(),
			client:      ports[listeners*i],
			broker:      ports[listeners*i+1],
			controller:  ports[listeners*i+2],
		})
	}

	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("not ready after %v", readyLimit))
	defer cancel()
	formats, formatting := errgroup.WithContext(ctx)
	for _, n := range c.nodes {
		formats.Go(func() error { return n.format(formatting) })
	}
	if err := formats.Wait(); err != nil {
		return err
	}
	for _, n := range c.nodes { // all before waiting for any: none is ready alone
		if err := n.launch(); err != nil {
			return err
		}
	}
	if err := c.awaitReady(ctx); err != nil {
		return err
	}
	c.took = time.Since(began)
	return nil
}

// Brokers are the addresses for clients, "127.0.0.1:port", one per node, also of nodes that are down.
func (c *Cluster) Brokers() []string {
	addrs := make([]string, len(c.nodes))
	for i, n := range c.nodes {
		addrs[i] = n.Addr()
	}
	return addrs
}

// Node is the node with index i, from 0; its Kafka id is i+1. It panics where there is no such node.
func (c *Cluster) Node(i int) *Node { return c.nodes[i] }

// NodeByID is the node with the Kafka id that metadata gives, as in a partition's leader; nil for an unknown id.
func (c *Cluster) NodeByID(id int32) *Node {
	for _, n := range c.nodes {
		if n.ID() == id {
			return n
		}
	}
	return nil
}

// Version of the Apache Kafka that runs.
func (c *Cluster) Version() string { return c.cfg.Version }

// Dir is the folder that holds the nodes' configuration, logs and data.
func (c *Cluster) Dir() string { return c.dir }

// PIDs are the process ids of the nodes that run.
func (c *Cluster) PIDs() []int {
	var pids []int
	for _, n := range c.nodes {
		if p := n.running(); p != nil {
			pids = append(pids, p.pid())
		}
	}
	return pids
}

// Took is how long the start was, from making the folder to ready. Fetching jars is not in it.
func (c *Cluster) Took() time.Duration { return c.took }

// Restart starts every node that is down, all at once, and waits until they serve: the way back from an outage
// of the whole cluster, which no node can leave alone.
func (c *Cluster) Restart(ctx context.Context) error {
	var down []*Node
	for _, n := range c.nodes {
		if n.running() == nil {
			down = append(down, n)
		}
	}
	return c.restart(ctx, down)
}

func (c *Cluster) restart(ctx context.Context, down []*Node) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("not serving after %v", readyLimit))
	defer cancel()
	for _, n := range down {
		if err := n.launch(); err != nil {
			return err
		}
	}
	if err := c.awaitServing(ctx, down); err != nil {
		return fmt.Errorf("restarting: %w", err)
	}
	return nil
}

// Close kills every node with SIGKILL and removes the cluster's folder. Calling it again does nothing.
func (c *Cluster) Close() error {
	c.closing.Do(func() {
		var errs []error
		for _, n := range c.nodes {
			errs = append(errs, n.Kill())
		}
		if c.dir != "" {
			errs = append(errs, os.RemoveAll(c.dir))
		}
		c.closed = errors.Join(errs...)
	})
	return c.closed
}

// portTaken says whether a broker of a failed start died because one of its ports was in use.
func (c *Cluster) portTaken() bool {
	for _, n := range c.nodes {
		if strings.Contains(tail(n.LogFile(), 2*logLines), "Address already in use") {
			return true
		}
	}
	return false
}

// properties of node n: this package's, overridden by the caller's.
func (c *Cluster) properties(n *Node) map[string]string {
	p := nodeProperties(n, c.nodes, c.cfg.Protocol)
	maps.Copy(p, c.cfg.Properties)
	return p
}

// randomID is a Kafka uuid: 16 random bytes in unpadded base64url. One that begins with a dash is passed over,
// because the storage tool would take it for a flag.
func randomID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:]) // never fails, see crypto/rand
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopLimit is how long a controlled shutdown may take. It takes under a second where a quorum is left, and for
// ever where none is.
const stopLimit = 30 * time.Second

// Node is one server of a [Cluster]: a JVM process that is broker and controller in one. It keeps its folder and
// ports over restarts.
type Node struct {
	cluster                    *Cluster
	id                         int
	dir                        string
	directoryID                string
	client, broker, controller int // ports

	mu   sync.Mutex
	proc *process // the newest, running or not; nil before the first launch
}

// ID is the node's id in Kafka's metadata, from 1.
func (n *Node) ID() int32 { return int32(n.id) }

// Addr is the address for clients, "127.0.0.1:port".
func (n *Node) Addr() string { return addr(n.client) }

// LogFile is the path of what the broker printed, over all its restarts.
func (n *Node) LogFile() string { return filepath.Join(n.dir, "broker.log") }

func (n *Node) propertiesFile() string { return filepath.Join(n.dir, "server.properties") }

// format writes the node's properties and has Kafka's own storage tool lay out its data folder.
func (n *Node) format(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Join(n.dir, "tmp"), 0o755); err != nil {
		return fmt.Errorf("making the folder of node %d: %w", n.id, err)
	}
	properties := formatProperties(n.cluster.properties(n))
	if err := os.WriteFile(n.propertiesFile(), []byte(properties), 0o600); err != nil {
		return fmt.Errorf("writing the properties of node %d: %w", n.id, err)
	}

	voters := make([]string, len(n.cluster.nodes))
	for i, o := range n.cluster.nodes {
		voters[i] = fmt.Sprintf("%d@%s:%s", o.id, addr(o.controller), o.directoryID)
	}
	args := append(n.jvmArgs(n.cluster.archive, ""), "kafka.tools.StorageTool", "format",
		"--cluster-id", n.cluster.id, "--config", n.propertiesFile(), "--initial-controllers", strings.Join(voters, ","))
	cmd := exec.CommandContext(ctx, n.cluster.java.bin(), append(args, n.cluster.cfg.FormatArgs...)...)
	cmd.Dir = n.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("formatting node %d: %w\n%s", n.id, err, lastLines(string(out), logLines))
	}
	return nil
}

// launch starts the process on the formatted folder, without waiting for it to serve.
func (n *Node) launch() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc != nil && !n.proc.exited() {
		return fmt.Errorf("starting node %d: it is running", n.id)
	}
	p, err := startProcess(processConfig{
		Path: n.cluster.java.bin(),
		Args: append(n.jvmArgs(n.cluster.archive, n.cluster.cfg.archiveTo), "kafka.Kafka", n.propertiesFile()),
		Dir:  n.dir,
		Log:  n.LogFile(),
		Keep: n.cluster.cfg.Keep,
	})
	if err != nil {
		return fmt.Errorf("starting node %d: %w", n.id, err)
	}
	n.proc = p
	return nil
}

// jvmArgs are the options up to and including the class path. With archiveTo the JVM dumps the classes it loaded
// there when it exits.
func (n *Node) jvmArgs(archive, archiveTo string) []string {
	heap := "384m"
	if len(n.cluster.nodes) > 1 {
		heap = "288m"
	}
	args := append(quickJVM(archive, archiveTo),
		"-Xms"+heap, "-Xmx"+heap,
		"-Djava.io.tmpdir="+filepath.Join(n.dir, "tmp"), // where compression codecs unpack native code: must allow execution
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
		"-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
		"-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
	)
	args = append(args, n.cluster.cfg.JVM...)
	return append(args, "-cp", strings.Join(n.cluster.jars, string(os.PathListSeparator)))
}

// running is the node's process, or nil when it is down.
func (n *Node) running() *process {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.proc == nil || n.proc.exited() {
		return nil
	}
	return n.proc
}

// Kill ends the node with SIGKILL, frozen or not, and returns when the process is gone. What the broker had not
// synced stays in the page cache: this is a crash of the process, not of the machine. A node that is down stays down.
func (n *Node) Kill() error {
	p := n.running()
	if p == nil {
		return nil
	}
	if err := p.kill(); err != nil {
		return fmt.Errorf("killing node %d: %w", n.id, err)
	}
	return nil
}

// Stop asks the node with SIGTERM for a controlled shutdown, in which it hands its leaders over, and returns when
// the process is gone. A node that has not gone after 30 s, as without a quorum, is killed and that is an error.
func (n *Node) Stop() error { return n.stop(stopLimit) }

func (n *Node) stop(limit time.Duration) error {
	p := n.running()
	if p == nil {
		return nil
	}
	if err := p.stop(limit); err != nil {
		return fmt.Errorf("stopping node %d: %w", n.id, err)
	}
	return nil
}

// Freeze suspends the node with SIGSTOP and returns when it stands still: connections stay open and nothing is answered.
func (n *Node) Freeze() error {
	p := n.running()
	if p == nil {
		return fmt.Errorf("freezing node %d: %w", n.id, errNotRunning)
	}
	if err := p.freeze(); err != nil {
		return fmt.Errorf("freezing node %d: %w", n.id, err)
	}
	return nil
}

// Thaw lets a frozen node go on. The broker finds out that time has passed: its session may be over.
func (n *Node) Thaw() error {
	p := n.running()
	if p == nil {
		return fmt.Errorf("thawing node %d: %w", n.id, errNotRunning)
	}
	if err := p.signal(syscall.SIGCONT); err != nil {
		return fmt.Errorf("thawing node %d: %w", n.id, err)
	}
	return nil
}

// Restart starts the node on the same folder and ports, after a controlled stop where it runs, and waits until it
// serves: it answers and the cluster's metadata lists it. Its copies may still be catching up; [Cluster.AwaitInSync]
// waits for those. Where the rest of the cluster has no quorum this waits in vain; see [Cluster.Restart].
func (n *Node) Restart(ctx context.Context) error {
	if err := n.Stop(); err != nil {
		return err
	}
	return n.cluster.restart(ctx, []*Node{n})
}

var errNotRunning = errors.New("it is not running")

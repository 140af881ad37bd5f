package tabletest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
)

// childEnv tells a process that it is a member to be killed, and of which bench.
const childEnv = "SLUICE_TABLETEST_CHILD"

// child is what such a process is told.
type child struct {
	Brokers                []string
	Group, Out, State, Dir string
	Topics                 []string
}

// Main runs a package's tests, or, in a process that a test has started, a member that is going to be killed.
func Main(m *testing.M) int {
	text := os.Getenv(childEnv)
	if text == "" {
		return m.Run()
	}
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := c.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// run works until the process is killed.
func (c child) run() error {
	log := zerolog.New(os.Stderr).Level(zerolog.WarnLevel)
	store, err := table.OpenStore(table.StoreOptions{Dir: c.Dir, CacheBytes: 64 << 10, MemtableBytes: 1 << 20, Log: log})
	if err != nil {
		return err
	}
	config := stream.Config{Brokers: c.Brokers, Compression: "lz4", SessionTimeout: sessionTimeout}
	p, err := table.NewProcessor(config, store, table.ProcessorOptions{
		Group: c.Group, Topics: c.Topics, Changelog: c.State, Log: log,
		Linger: 5 * time.Millisecond, Tick: 20 * time.Millisecond,
		MaxRecords: 50, // many transactions, of which one is under way when it is killed
	}, &adder{out: c.Out})
	if err != nil {
		return err
	}
	return p.Run(context.Background())
}

// spawn starts a member in a process of its own.
func (b *bench) spawn(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	text, err := json.Marshal(child{Brokers: b.config.Brokers, Group: b.group, Out: b.out, State: b.state, Dir: dir, Topics: []string{b.in, b.also}})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	return cmd
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// testKilled kills members in the middle of their work, with what they have in memory and on the way, and lets others
// go on: one after another on the same disk, and another one beside it.
func testKilled(t *testing.T, b *bench) {
	const n, keys = 12_000, 150
	dir, at := t.TempDir(), 0
	step := func(more int) {
		b.put(t, at, at+more, keys)
		at += more
	}
	step(3000)
	for range 2 {
		before := len(b.outputs(t))
		cmd := b.spawn(t, dir)
		await(t, "some work of a process", func() bool { return len(b.outputs(t)) > before+100 })
		kill(cmd)
		step(2000)
	}
	work := &adder{out: b.out}
	m := b.join(t, openStore(t, t.TempDir()), work)
	await(t, "another member", func() bool { return m.processor.Stats().Ready == partitions })
	other := b.spawn(t, dir)
	await(t, "the partitions to be shared", func() bool { s := m.processor.Stats(); return s.Ready > 0 && s.Ready < partitions })
	step(2000)
	before := len(b.outputs(t))
	await(t, "work of both", func() bool { return len(b.outputs(t)) > min(before+200, at-1) })
	kill(other)
	step(n - at)
	await(t, "all work", func() bool { return len(b.outputs(t)) == n })
	m.leave(t)
	b.check(t, n, keys)
}

// holdUp makes a member stand still in the batch that is chosen, once. It says when that is so, and how to end it.
func holdUp(chosen func(tx *table.Tx) bool) (hold func(tx *table.Tx), reached <-chan struct{}, release func()) {
	in, out := make(chan struct{}), make(chan struct{})
	held := false
	return func(tx *table.Tx) {
		if !held && chosen(tx) {
			held = true
			close(in)
			<-out
		}
	}, in, func() { close(out) }
}

// impatient makes the group wait for a batch under way for a short time only.
func impatient(o *table.ProcessorOptions) { o.Patience = sessionTimeout }

// testCutOff makes a member stand still, in the middle of a transaction, until the group has given its partitions to
// another one.
func testCutOff(t *testing.T, b *bench) {
	const keys = 30
	hold, reached, release := holdUp(func(tx *table.Tx) bool { return len(tx.Records) > 0 })
	late := &adder{out: b.out, onProcess: func(tx *table.Tx) error { hold(tx); return nil }}
	b.put(t, 0, 300, keys)
	slow := b.join(t, openStore(t, t.TempDir()), late, impatient)
	<-reached
	work := &adder{out: b.out}
	quick := b.join(t, openStore(t, t.TempDir()), work, impatient)
	await(t, "the other to have it all", func() bool { return work.committed() == 300 })
	release()
	await(t, "the slow one to be told", func() bool { return len(late.failures()) > 0 })
	b.put(t, 300, 600, keys)
	await(t, "all records", func() bool { return work.committed()+late.committed() == 600 })
	slow.leave(t)
	quick.leave(t)
	b.check(t, 600, keys)
}

// testCutOffTimer does the same to a member that has read nothing, and is about to do what is due.
func testCutOffTimer(t *testing.T, b *bench) {
	hold, reached, release := holdUp(func(tx *table.Tx) bool {
		due, err := tx.Due(1)
		return err == nil && len(due) > 0 && len(tx.Records) == 0
	})
	late := &adder{out: b.out, before: hold}
	slow := b.join(t, openStore(t, t.TempDir()), late, impatient)
	for _, k := range []string{"a", "b", "c", "d"} {
		b.say(t, k, "due 2000")
	}
	await(t, "the orders", func() bool { return late.committed() == 4 })
	<-reached
	work := &adder{out: b.out}
	quick := b.join(t, openStore(t, t.TempDir()), work, impatient)
	fired := map[string]int{"fired a": 1, "fired b": 1, "fired c": 1, "fired d": 1}
	await(t, "the other to do what is due", func() bool { return len(b.outputs(t)) == len(fired) })
	release()
	await(t, "the slow one to be told", func() bool { return len(late.failures()) > 0 })
	slow.leave(t)
	quick.leave(t)
	holds(t, "what fired differs", fired, b.outputs)
}

// Package tabletest is what every broker must let package table promise: one suite, run against the embedded
// broker and against Apache Kafka.
package tabletest

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/sluicehq/sluice/pkg/table"
)

// Cluster is what the suite runs against.
type Cluster struct {
	Brokers []string
	// DeleteTopic deletes a topic, which nothing of ours ever does.
	DeleteTopic func(ctx context.Context, topic string) error
}

// Run holds a cluster to the suite.
func Run(t *testing.T, c Cluster) {
	tests := map[string]func(t *testing.T, b *bench){
		"state and output are committed together":                       testTogether,
		"a batch that fails leaves nothing and comes again":             testFailure,
		"a value that fits no record is refused, and the batch goes on": testTooLarge,
		"a warm start reads what others have done since":                testWarm,
		"what is deleted stays deleted, wherever it was":                testDeleted,
		"what is due fires once, wherever it was put":                   testTimers,
		"state of a changelog that was deleted is gone":                 testRecreated,
		"a damaged copy is restored without a record lost":              testDamaged,
		"partitions move with their state":                              testHandover,
		"a changelog that would lose state is refused":                  testRefusedTopics,
		"members that are killed leave nothing half done":               testKilled,
		"a member that was away too long commits nothing":               testCutOff,
		"a member that was away too long does not do what is due":       testCutOffTimer,
		"a view knows the recent past, and forgets":                     testViewPast,
		"a view that was closed reads what came since":                  testViewWarm,
		"a view whose copy is damaged restores it before it answers":    testViewDamaged,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newBench(t, c))
		})
	}
}

// sums is what adding must come to for the numbers up to n over that many keys.
func sums(n, keys int) map[string]string {
	total := map[int]int{}
	for i := range n {
		total[i%keys] += i
	}
	want := map[string]string{}
	for k, sum := range total {
		want[key(k)] = strconv.Itoa(sum)
	}
	return want
}

// check compares what stands on the topics with the naive model.
func (b *bench) check(t *testing.T, n, keys int) {
	t.Helper()
	holds(t, "the state differs from the model", sums(n, keys), b.contents)
	want := map[string]int{}
	for i := range n {
		want[strconv.Itoa(i)] = 1
	}
	holds(t, "what was emitted differs from what came in", want, b.outputs)
}

func testTogether(t *testing.T, b *bench) {
	const n, keys = 3000, 70
	work := &adder{out: b.out}
	b.put(t, 0, n/2, keys)
	m := b.join(t, openStore(t, t.TempDir()), work)
	await(t, "the first half", func() bool { return work.committed() == n/2 })
	b.put(t, n/2, n, keys)
	await(t, "the second half", func() bool { return work.committed() == n })
	if s := m.processor.Stats(); s.Held != 0 || s.Ready != partitions || s.Restoring != 0 || s.Behind != 0 || s.Committed == 0 {
		t.Errorf("stats with everything done: %+v", s)
	}
	m.leave(t)
	b.check(t, n, keys)
}

func testFailure(t *testing.T, b *bench) {
	const n, keys = 1000, 20
	refused := errors.New("refused")
	left := 3
	work := &adder{out: b.out}
	work.onProcess = func(tx *table.Tx) error {
		if len(tx.Records) > 0 && left > 0 {
			left--
			return refused
		}
		return nil
	}
	b.put(t, 0, n, keys)
	m := b.join(t, openStore(t, t.TempDir()), work)
	await(t, "all records", func() bool { return work.committed() == n })
	m.leave(t)
	failed := work.failures()
	if len(failed) != 3 || !errors.Is(failed[0], refused) {
		t.Errorf("the work heard of failures %v, want three", failed)
	}
	b.check(t, n, keys)
}

package embedded

import (
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// RefuseProduce answers the next n produce requests with NOT_ENOUGH_REPLICAS: nothing is written,
// and clients may try again. A negative n refuses until undo is called; undo ends it at any time.
func (b *Broker) RefuseProduce(n int) (undo func()) {
	return b.fault(n, kerr.NotEnoughReplicas, kmsg.Produce)
}

// LoseProduceAnswers writes the records of the next n produce requests and then answers
// REQUEST_TIMED_OUT, the worst case: a client that writes again without idempotence doubles them. A
// negative n goes on until undo is called.
func (b *Broker) LoseProduceAnswers(n int) (undo func()) {
	return b.fault(n, kerr.RequestTimedOut, kmsg.Produce)
}

// RefuseCommits answers the next n commits of offsets with COORDINATOR_LOAD_IN_PROGRESS and keeps
// none of them. A negative n refuses until undo is called.
func (b *Broker) RefuseCommits(n int) (undo func()) {
	return b.fault(n, kerr.CoordinatorLoadInProgress, kmsg.OffsetCommit, kmsg.TxnOffsetCommit)
}

func (b *Broker) fault(n int, answer *kerr.Error, keys ...kmsg.Key) (undo func()) {
	if n == 0 {
		return func() {} // kfake takes zero for one
	}
	return b.cluster.Fault(kfake.Fault{Keys: keys, Err: answer, Count: n}).Remove
}

// DropConnections closes every connection there is, as a restarting broker does, and says how many.
// Clients may connect again at once.
func (b *Broker) DropConnections() int { return b.guard.dropConns() }

// Freeze makes the broker fall silent as a stopped process does: connections stay open, new ones
// are accepted by the kernel, no request is taken up and no answer leaves, until thaw is called. Then
// everything that waited goes on.
func (b *Broker) Freeze() (thaw func()) { return b.guard.ice.freeze() }

// ice holds back whoever waits on it while it is frozen. Several may freeze it; it gives way when
// the last has thawed.
type ice struct {
	mu     sync.Mutex
	frozen int
	thawed chan struct{} // closed when the last one thaws; nil while nothing is frozen
}

func (i *ice) freeze() (thaw func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.frozen++; i.frozen == 1 {
		i.thawed = make(chan struct{})
	}
	return sync.OnceFunc(func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.frozen--; i.frozen == 0 {
			close(i.thawed)
			i.thawed = nil
		}
	})
}

// wait returns when nothing is frozen, or with an error when the connection is gone.
func (i *ice) wait(gone <-chan struct{}) error {
	for {
		i.mu.Lock()
		thawed := i.thawed
		i.mu.Unlock()
		if thawed == nil {
			return nil
		}
		select {
		case <-thawed:
		case <-gone:
			return net.ErrClosed
		}
	}
}

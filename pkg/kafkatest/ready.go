package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// internalPartitions is how many partitions each internal topic has.
	internalPartitions = 4
	// askEvery is how often a condition is looked at while waiting for it.
	askEvery = 50 * time.Millisecond
	// probeName begins the names of the topic, groups and transactions that the readiness check uses.
	probeName = "kafkatest-ready-"
)

// awaitReady is the whole check after a first start.
func (c *Cluster) awaitReady(ctx context.Context) error {
	if err := c.awaitServing(ctx, c.nodes); err != nil {
		return err
	}
	return c.watching(ctx, c.nodes, func(ctx context.Context) error {
		cl, err := c.newClient(c.Brokers(), kgo.TransactionalID(probeName+"0"))
		if err != nil {
			return err
		}
		defer cl.Close()
		for _, step := range []struct {
			doing string
			do    func(context.Context, *kgo.Client) error
		}{
			{"creating a topic", c.createProbe},
			{"opening transactions", touchTransactions},
			{"producing in a transaction", produceProbe},
			{"committing offsets", touchGroups},
			{"consuming in a group", c.consumeProbe},
			{"removing the traces", removeProbe},
		} {
			if err := poll(ctx, askEvery, func(ctx context.Context) error { return step.do(ctx, cl) }); err != nil {
				return fmt.Errorf("%s: %w", step.doing, err)
			}
		}
		return nil
	})
}

// awaitServing waits until the given nodes answer and metadata, asked of each of them, lists them all. A broker is in
// metadata only once the controller lets it lead.
func (c *Cluster) awaitServing(ctx context.Context, nodes []*Node) error {
	return c.watching(ctx, nodes, func(ctx context.Context) error {
		for _, n := range nodes {
			if err := poll(ctx, askEvery, n.dial); err != nil {
				return fmt.Errorf("waiting for node %d to listen: %w", n.id, err)
			}
		}
		for _, n := range nodes {
			cl, err := c.newClient([]string{n.Addr()})
			if err != nil {
				return err
			}
			err = poll(ctx, askEvery, func(ctx context.Context) error { return listsAll(ctx, cl, nodes) })
			cl.Close()
			if err != nil {
				return fmt.Errorf("waiting for node %d to serve: %w", n.id, err)
			}
		}
		return nil
	})
}

// watching runs wait with a context that also ends when one of the nodes does, and adds the log of the node that ended,
// or else of all, to an error.
func (c *Cluster) watching(ctx context.Context, nodes []*Node, wait func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	for _, n := range nodes {
		p := n.running()
		if p == nil {
			return n.withLog(fmt.Errorf("node %d ended at once", n.id))
		}
		go func() {
			select {
			case <-p.done:
				cancel(&endedError{what: fmt.Sprintf("node %d", n.id), how: p.err})
			case <-ctx.Done():
			}
		}()
	}
	err := wait(ctx)
	if err == nil {
		return nil
	}
	if _, ended := errors.AsType[*endedError](err); ended {
		nodes = slices.DeleteFunc(slices.Clone(nodes), func(n *Node) bool { return n.running() != nil })
	}
	for _, n := range nodes {
		err = n.withLog(err)
	}
	return err
}

// endedError says that a process ended while it was waited for.
type endedError struct {
	what string
	how  error // nil where it exited with code 0
}

func (e *endedError) Error() string {
	if e.how == nil {
		return e.what + " ended"
	}
	return fmt.Sprintf("%s ended: %v", e.what, e.how)
}

func (e *endedError) Unwrap() error { return e.how }

func (n *Node) withLog(err error) error {
	return fmt.Errorf("%w\nthe log of node %d ends:\n%s", err, n.id, tail(n.LogFile(), logLines))
}

func (n *Node) dial(ctx context.Context) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", n.Addr())
	if err != nil {
		return err
	}
	return conn.Close()
}

// newClient is impatient: what fails while a cluster forms is asked again at once.
func (c *Cluster) newClient(seeds []string, opts ...kgo.Opt) (*kgo.Client, error) {
	all := append([]kgo.Opt{
		kgo.SeedBrokers(seeds...),
		kgo.ClientID("kafkatest"),
		kgo.DialTimeout(5 * time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return askEvery }),
		kgo.MetadataMinAge(askEvery),
		kgo.ProducerLinger(0),
	}, c.cfg.ClientOpts...)
	cl, err := kgo.NewClient(append(all, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("making the client of the readiness check: %w", err)
	}
	return cl, nil
}

func listsAll(ctx context.Context, cl *kgo.Client, nodes []*Node) error {
	adm := kadm.NewClient(cl)
	meta, err := adm.BrokerMetadata(ctx)
	if err != nil {
		return err
	}
	if meta.Controller < 0 {
		return errors.New("no controller yet")
	}
	for _, n := range nodes {
		listed := false
		for _, b := range meta.Brokers {
			listed = listed || b.NodeID == n.ID()
		}
		if !listed {
			return fmt.Errorf("metadata does not list node %d yet", n.id)
		}
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "kafkatest", "1"
		resp, err := cl.Broker(n.id).Request(ctx, req)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.(*kmsg.ApiVersionsResponse).ErrorCode); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) createProbe(ctx context.Context, cl *kgo.Client) error {
	resp, err := kadm.NewClient(cl).CreateTopic(ctx, int32(len(c.nodes)), int16(len(c.nodes)), nil, probeName+"topic")
	if err == nil {
		err = resp.Err
	}
	if errors.Is(err, kerr.TopicAlreadyExists) { // an earlier try whose answer was lost
		return nil
	}
	return err
}

// Coordinators are found by hashing a name to one partition of an internal topic. Names that differ by one in their
// last character hash to neighbouring partitions (Java's String.hashCode), so as many names as partitions reach all.

func touchTransactions(ctx context.Context, cl *kgo.Client) error {
	for i := range internalPartitions {
		id := probeName + strconv.Itoa(i)
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionalID = &id
		req.TransactionTimeoutMillis = 10_000
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
	}
	return nil
}

func touchGroups(ctx context.Context, cl *kgo.Client) error {
	var offsets kadm.Offsets
	offsets.AddOffset(probeName+"topic", 0, 0, -1)
	for i := range internalPartitions {
		if err := kadm.NewClient(cl).CommitAllOffsets(ctx, probeName+strconv.Itoa(i), offsets); err != nil {
			return err
		}
	}
	return nil
}

func produceProbe(ctx context.Context, cl *kgo.Client) error {
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	err := cl.ProduceSync(ctx, &kgo.Record{Topic: probeName + "topic", Value: []byte("ready?")}).FirstErr()
	if err != nil {
		return errors.Join(err, cl.EndTransaction(ctx, kgo.TryAbort))
	}
	return cl.EndTransaction(ctx, kgo.TryCommit)
}

// consumeProbe reads back what was committed, as a member of a group.
func (c *Cluster) consumeProbe(ctx context.Context, _ *kgo.Client) error {
	cl, err := c.newClient(c.Brokers(), kgo.ConsumerGroup(probeName+"group"), kgo.ConsumeTopics(probeName+"topic"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	if err != nil {
		return err
	}
	defer cl.Close()
	fetches := cl.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return err
	}
	return cl.CommitRecords(ctx, fetches.Records()...)
}

func removeProbe(ctx context.Context, cl *kgo.Client) error {
	adm := kadm.NewClient(cl)
	groups := []string{probeName + "group"}
	for i := range internalPartitions {
		groups = append(groups, probeName+strconv.Itoa(i))
	}
	deleted, err := adm.DeleteGroups(ctx, groups...)
	if err != nil {
		return err
	}
	for _, g := range deleted {
		if g.Err != nil && !errors.Is(g.Err, kerr.GroupIDNotFound) {
			return g.Err
		}
	}
	topic, err := adm.DeleteTopic(ctx, probeName+"topic")
	if err == nil {
		err = topic.Err
	}
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return nil
	}
	return err
}

// AwaitInSync waits until every replica of every partition, internal ones included, is in sync: what an operator waits
// for before restarting the next broker.
func (c *Cluster) AwaitInSync(ctx context.Context) error {
	cl, err := c.newClient(c.Brokers())
	if err != nil {
		return err
	}
	defer cl.Close()
	err = poll(ctx, askEvery, func(ctx context.Context) error {
		topics, err := kadm.NewClient(cl).ListTopicsWithInternal(ctx)
		if err != nil {
			return err
		}
		for _, t := range topics {
			for _, p := range t.Partitions {
				if p.Err != nil {
					return fmt.Errorf("partition %d of %s: %w", p.Partition, t.Topic, p.Err)
				}
				if len(p.ISR) < len(p.Replicas) {
					return fmt.Errorf("partition %d of %s: %d of %d replicas in sync", p.Partition, t.Topic, len(p.ISR), len(p.Replicas))
				}
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("waiting for all replicas to be in sync: %w", err)
	}
	return nil
}

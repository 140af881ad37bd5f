package kafkatest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/sluicehq/sluice/pkg/kafkatest"
)

// One cluster serves these subtests, each of which leaves it running.
func TestOneNode(t *testing.T) {
	t.Parallel()
	c := kafkatest.StartFor(t, kafkatest.Config{})
	topic := kafkatest.Prefix(t) + "orders"
	createTopic(t, c, topic, 1)

	t.Run("gives back what it acknowledged", func(t *testing.T) {
		produce(t, c, topic, "one", "two")
		wantRecords(t, c, topic, "one", "two")
	})
	t.Run("does not create a topic because somebody misspelt it", func(t *testing.T) {
		cl := newClient(t, c, kgo.UnknownTopicRetries(0))
		err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: topic + "x"}).FirstErr()
		if !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Errorf("producing to a topic that does not exist: %v", err)
		}
	})
	t.Run("leaves no trace of the readiness check", func(t *testing.T) {
		adm := kadm.NewClient(newClient(t, c))
		topics, err := adm.ListTopics(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		groups, err := adm.ListGroups(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{topic}, topics.Names()); diff != "" {
			t.Errorf("topics (-want +got):\n%s", diff)
		}
		if len(groups) != 0 {
			t.Errorf("groups: %v", groups.Groups())
		}
	})
	t.Run("frozen, it is silent, and thawed it answers the same request", func(t *testing.T) {
		if err := c.Node(0).Freeze(); err != nil {
			t.Fatal(err)
		}
		acked := make(chan error, 1)
		newClient(t, c).Produce(t.Context(), &kgo.Record{Topic: topic, Value: []byte("three")}, func(_ *kgo.Record, err error) { acked <- err })
		silence := time.NewTimer(500 * time.Millisecond)
		defer silence.Stop()
		select {
		case err := <-acked:
			t.Fatalf("a frozen broker answered: %v", err)
		case <-silence.C:
		}
		if err := c.Node(0).Thaw(); err != nil {
			t.Fatal(err)
		}
		if err := <-acked; err != nil {
			t.Errorf("after the thaw: %v", err)
		}
	})
	t.Run("killed and restarted, it still has what it acknowledged", func(t *testing.T) {
		produce(t, c, topic, "four")
		if err := c.Node(0).Kill(); err != nil {
			t.Fatal(err)
		}
		before := c.Node(0).Addr()
		restart(t, c.Node(0))
		if after := c.Node(0).Addr(); after != before {
			t.Errorf("it moved from %s to %s", before, after)
		}
		wantRecords(t, c, topic, "one", "two", "three", "four")
		produce(t, c, topic, "five")
	})
	t.Run("stopped in order and restarted, likewise", func(t *testing.T) {
		if err := c.Node(0).Stop(); err != nil {
			t.Fatal(err)
		}
		if err := c.Node(0).Freeze(); err == nil {
			t.Error("a stopped node was frozen")
		}
		restart(t, c.Node(0))
		wantRecords(t, c, topic, "one", "two", "three", "four", "five")
	})
	t.Run("closed, it leaves no folder", func(t *testing.T) {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(c.Dir()); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", c.Dir(), err)
		}
	})
}

// Not parallel: three JVMs are enough for two cores.
func TestThreeNodesKeepAcknowledgingWhenTheLeaderIsKilled(t *testing.T) {
	c := kafkatest.Cluster3(t)
	topic := kafkatest.Prefix(t) + "orders"
	createTopic(t, c, topic, 3)
	adm := kadm.NewClient(newClient(t, c))

	var want []string
	next := func(n int) []string {
		for range n {
			want = append(want, fmt.Sprintf("order %d", len(want)))
		}
		return want[len(want)-n:]
	}
	produce(t, c, topic, next(100)...)

	leader := leaderOf(t, adm, topic)
	if err := c.NodeByID(leader).Kill(); err != nil {
		t.Fatal(err)
	}
	produce(t, c, topic, next(100)...)
	if now := leaderOf(t, adm, topic); now == leader {
		t.Errorf("node %d leads although it is dead", leader)
	}

	restart(t, c.NodeByID(leader))
	if err := c.AwaitInSync(t.Context()); err != nil {
		t.Fatal(err)
	}
	produce(t, c, topic, next(100)...)
	wantRecords(t, c, topic, want...)

	t.Run("and the whole cluster comes back from an outage", func(t *testing.T) {
		for i := range 3 {
			if err := c.Node(i).Kill(); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantRecords(t, c, topic, want...)
	})
}

func TestScramListenerLetsOnlyTheRightPasswordIn(t *testing.T) {
	t.Parallel()
	login := func(password string) kgo.Opt {
		return kgo.SASL(scram.Auth{User: "app", Pass: password}.AsSha512Mechanism())
	}
	c := kafkatest.StartFor(t, kafkatest.Config{
		Protocol: "SASL_PLAINTEXT",
		Properties: map[string]string{
			"sasl.enabled.mechanisms":                             "SCRAM-SHA-512",
			"listener.name.client.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
		},
		FormatArgs: []string{"--add-scram", "SCRAM-SHA-512=[name=app,password=right]"},
		ClientOpts: []kgo.Opt{login("right")},
	})
	if err := newClient(t, c, login("right")).Ping(t.Context()); err != nil {
		t.Errorf("the right password: %v", err)
	}
	if err := newClient(t, c, login("wrong")).Ping(t.Context()); !errors.Is(err, kerr.SaslAuthenticationFailed) {
		t.Errorf("the wrong password: %v", err)
	}
}

func TestStartExplainsABrokerThatDoesNotComeUp(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  kafkatest.Config
		want string
	}{
		"a property the formatter refuses": {
			cfg:  kafkatest.Config{Properties: map[string]string{"node.id": "none"}},
			want: "Invalid value none for configuration broker.id",
		},
		"a property on which the broker ends, from its log": {
			cfg:  kafkatest.Config{Properties: map[string]string{"metric.reporters": "no.such.Reporter"}},
			want: "no.such.Reporter",
		},
		"a number of nodes that is not 1 or 3": {
			cfg:  kafkatest.Config{Nodes: 2},
			want: "2 nodes asked for, 1 or 3 are possible",
		},
	} {
		t.Run(name, func(t *testing.T) {
			tc.cfg.WorkDir = t.TempDir()
			c, err := kafkatest.Start(t.Context(), tc.cfg)
			if err == nil {
				t.Fatal("it came up", c.Close())
			}
			skipIfLacking(t, err)
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("the error does not say %q:\n%v", tc.want, err)
			}
			if left, _ := os.ReadDir(tc.cfg.WorkDir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestAStartThatIsCancelledLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	dir := t.TempDir()
	_, err := kafkatest.Start(ctx, kafkatest.Config{WorkDir: dir})
	skipIfLacking(t, err)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("starting: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// skipIfLacking ends a test that wants an error where the error is that there is no Kafka to try; in CI it goes on, and fails.
func skipIfLacking(t *testing.T, err error) {
	t.Helper()
	if _, lacking := errors.AsType[*kafkatest.UnavailableError](err); lacking && os.Getenv("CI") != "true" {
		t.Skip("NOT RUN, NEEDS A REAL KAFKA: ", err)
	}
}

func newClient(t *testing.T, c *kafkatest.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Brokers()...), kgo.MetadataMinAge(50 * time.Millisecond)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func createTopic(t *testing.T, c *kafkatest.Cluster, topic string, copies int16) {
	t.Helper()
	resp, err := kadm.NewClient(newClient(t, c)).CreateTopic(t.Context(), 1, copies, nil, topic)
	if err := errors.Join(err, resp.Err); err != nil {
		t.Fatal(err)
	}
}

// produce returns when every in-sync replica has the values.
func produce(t *testing.T, c *kafkatest.Cluster, topic string, values ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: topic, Value: []byte(v)}
	}
	if err := newClient(t, c, kgo.RequiredAcks(kgo.AllISRAcks())).ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatalf("producing: %v", err)
	}
}

// wantRecords reads the topic from its start, for as many records as are wanted, and one look further.
func wantRecords(t *testing.T, c *kafkatest.Cluster, topic string, want ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cl := newClient(t, c, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var got []string
	for len(got) < len(want) {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			t.Fatalf("consuming after %d of %d records: %v", len(got), len(want), err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
}

func leaderOf(t *testing.T, adm *kadm.Client, topic string) int32 {
	t.Helper()
	topics, err := adm.ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return topics[topic].Partitions[0].Leader
}

func restart(t *testing.T, n *kafkatest.Node) {
	t.Helper()
	began := time.Now()
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("node %d serves again after %v", n.ID(), time.Since(began).Round(time.Millisecond))
}

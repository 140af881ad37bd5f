package kafkatest

import (
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"testing"
)

// What withkafka hands to the tests it runs.
const (
	EnvBrokers     = "TEST_KAFKA_BROKERS"       // comma list
	EnvRegistryURL = "TEST_SCHEMA_REGISTRY_URL" // base of the Confluent API
)

// Brokers are the addresses of the cluster that all tests of a run share, from TEST_KAFKA_BROKERS. Others work on it at
// the same time: put [Prefix] before every topic, group and transactional id, and delete nothing else. Without a
// broker the test is skipped, loudly, or fails where CI=true.
func Brokers(t testing.TB) []string {
	t.Helper()
	var addrs []string
	for a := range strings.SplitSeq(os.Getenv(EnvBrokers), ",") {
		if a = strings.TrimSpace(a); a != "" {
			addrs = append(addrs, a)
		}
	}
	if len(addrs) == 0 {
		cannotRun(t, EnvBrokers+" is not set; run it under withkafka (make test does)")
	}
	return addrs
}

// RegistryURL is the base URL of the registry that all tests of a run share, from TEST_SCHEMA_REGISTRY_URL, without a
// slash at the end. Subjects are shared too: put [Prefix] before them. Without a registry the test is skipped, loudly,
// or fails where CI=true.
func RegistryURL(t testing.TB) string {
	t.Helper()
	url := strings.TrimRight(strings.TrimSpace(os.Getenv(EnvRegistryURL)), "/")
	if url == "" {
		cannotRun(t, EnvRegistryURL+" is not set; run it under withkafka -registry (make test does)")
	}
	return url
}

// Prefix is a random beginning for a test's names, like "t-ab12cd.".
func Prefix(testing.TB) string {
	return "t-" + strings.ToLower(rand.Text()[:6]) + "."
}

// Cluster3 starts three nodes that belong to this test alone and removes them when it ends; see [StartFor].
func Cluster3(t testing.TB) *Cluster {
	t.Helper()
	return StartFor(t, Config{Nodes: 3})
}

// StartFor starts a cluster that belongs to this test alone, to be harmed, and removes it when the test ends. A failed
// test shows the end of each broker's log. Where the machine lacks what it takes, see [UnavailableError], the test is
// skipped, loudly, or fails where CI=true; a cluster that does not come up is a failure everywhere.
func StartFor(t testing.TB, cfg Config) *Cluster {
	t.Helper()
	if cfg.Progress == nil {
		cfg.Progress = func(step string) { t.Log(step) }
	}
	c, err := Start(t.Context(), cfg)
	if _, lacking := errors.AsType[*UnavailableError](err); lacking {
		cannotRun(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			for _, n := range c.nodes {
				t.Logf("the log of node %d ends:\n%s", n.id, tail(n.LogFile(), logLines))
			}
		}
		if err := c.Close(); err != nil {
			t.Errorf("closing the cluster: %v", err)
		}
	})
	return c
}

// cannotRun ends the test: as failed in CI, which always has what it takes, else as skipped in a way that is seen.
func cannotRun(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("REAL KAFKA IS MISSING, and CI=true: " + why)
	}
	t.Skip("NOT RUN, NEEDS A REAL KAFKA: " + why)
}

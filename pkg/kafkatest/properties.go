package kafkatest

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// nodeProperties is the configuration of one node: a well-kept production cluster as far as behaviour goes, small
// and quick where only size is concerned.
func nodeProperties(n *Node, all []*Node, protocol string) map[string]string {
	copies, inSync := "1", "1"
	if len(all) >= 3 {
		copies, inSync = "3", "2"
	}
	controllers := make([]string, len(all))
	for i, other := range all {
		controllers[i] = addr(other.controller)
	}
	listeners := fmt.Sprintf("CLIENT://%s,BROKER://%s,CONTROLLER://%s", addr(n.client), addr(n.broker), addr(n.controller))

	return map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          strconv.Itoa(n.id),
		"log.dirs":                                         "data", // in the working folder: a path with a comma in it would be two
		"listeners":                                        listeners,
		"advertised.listeners":                             listeners,
		"listener.security.protocol.map":                   "CLIENT:" + protocol + ",BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name":                       "BROKER",
		"controller.listener.names":                        "CONTROLLER",
		"controller.quorum.bootstrap.servers":              strings.Join(controllers, ","),
		"auto.create.topics.enable":                        "false", // a misspelt topic must fail here as it would in production
		"default.replication.factor":                       copies,
		"min.insync.replicas":                              inSync,
		"offsets.topic.replication.factor":                 copies,
		"transaction.state.log.min.isr":                    inSync,
		"share.coordinator.state.topic.min.isr":            inSync,
		"transaction.state.log.replication.factor":         copies,
		"share.coordinator.state.topic.replication.factor": copies,

		// Fifty partitions each otherwise, all to be created and loaded before the first commit.
		"offsets.topic.num.partitions":                 strconv.Itoa(internalPartitions),
		"transaction.state.log.num.partitions":         strconv.Itoa(internalPartitions),
		"share.coordinator.state.topic.num.partitions": strconv.Itoa(internalPartitions),

		"num.network.threads":              "2",
		"num.io.threads":                   "4",
		"log.cleaner.dedupe.buffer.size":   "2097152",
		"group.initial.rebalance.delay.ms": "0",

		// A dead broker's leaders move, and a broker that was killed may come back, when its session is over:
		// nine seconds otherwise, which every crash test would sit out. Three were tried: on very busy cores brokers
		// that were only slow lost their sessions.
		"broker.session.timeout.ms":    "6000",
		"broker.heartbeat.interval.ms": "500",
	}
}

// formatProperties writes p as a Java properties file, sorted by key.
func formatProperties(p map[string]string) string {
	var b strings.Builder
	escape := strings.NewReplacer("\\", "\\\\", "\n", "\\n")
	for _, k := range slices.Sorted(maps.Keys(p)) {
		fmt.Fprintf(&b, "%s=%s\n", k, escape.Replace(p[k]))
	}
	return b.String()
}

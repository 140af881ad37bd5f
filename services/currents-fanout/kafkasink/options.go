package kafkasink

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Options say which topic of which cluster gets the events.
type Options struct {
	Brokers []string `yaml:"brokers" doc:"bootstrap brokers of the cluster as host:port"`
	Topic   string   `yaml:"topic" doc:"the topic, as it is called on the cluster; it has to exist"`
	// OtherCluster says what cannot be seen from here: a topic of ours on our own cluster would be fed
	// with what was read from it.
	OtherCluster bool `yaml:"other_cluster" doc:"the brokers are not those that Sluice itself uses, so the topic may be called as one of its own"`

	Key   string `yaml:"key" oneof:"customer event_id none" doc:"key of the records: the customer, who stays in order; the event's id; or none; customer when empty"`
	Value string `yaml:"value" oneof:"json avro" doc:"the event's document, or the record of braze.engagements in Avro; json when empty"`

	Registry registry.Config `yaml:"registry"`

	Compression    string        `yaml:"compression" oneof:"none lz4 zstd snappy gzip" doc:"how batches of records are compressed; lz4 when empty"`
	MaxRecordBytes int           `yaml:"max_record_bytes" min:"1024" max:"104857600" doc:"longest record; a longer one is refused; 1000012 when 0, which is what Kafka takes by default"`
	Timeout        time.Duration `yaml:"timeout" min:"1s" max:"10m" doc:"longest wait for Kafka to take a record; 30s when 0"`

	TLS  stream.TLS  `yaml:"tls"`
	SASL stream.SASL `yaml:"sasl"`
}

const (
	keyCustomer = "customer"
	keyEventID  = "event_id"
	keyNone     = "none"

	valueJSON = "json"
	valueAvro = "avro"
)

// filled are the options with the defaults where they say nothing.
func (o Options) filled() Options {
	var brokers []string
	for _, b := range o.Brokers {
		for part := range strings.SplitSeq(b, ",") { // one variable of the environment may hold several
			if part = strings.TrimSpace(part); part != "" {
				brokers = append(brokers, part)
			}
		}
	}
	o.Brokers = brokers
	o.Key = cmp.Or(o.Key, keyCustomer)
	o.Value = cmp.Or(o.Value, valueJSON)
	o.Compression = cmp.Or(o.Compression, "lz4")
	o.MaxRecordBytes = cmp.Or(o.MaxRecordBytes, 1_000_012)
	o.Timeout = cmp.Or(o.Timeout, 30*time.Second)
	return o
}

// Validate reports everything that is wrong, as config.Problems.
func (o *Options) Validate() error {
	f := o.filled()
	var problems []error
	wrong := func(field string, value any, allowed string) {
		problems = append(problems, config.Problem{Field: field, Value: value, Allowed: allowed})
	}
	oneOf := func(field, value string, words ...string) {
		if !slices.Contains(words, value) {
			wrong(field, value, "one of "+strings.Join(words, ", "))
		}
	}
	problems = append(problems, within("", f.cluster("").Validate())...)
	switch {
	case f.Topic == "":
		wrong("topic", nil, "the topic's name is needed")
	case !isTopic(f.Topic):
		wrong("topic", f.Topic, "1 to 249 letters, digits, dots, dashes and underscores")
	case isOurs(f.Topic) && !f.OtherCluster:
		wrong("topic", f.Topic, "a topic that is not one of Sluice's own, or other_cluster: true where the brokers are others than Sluice's")
	}
	oneOf("key", f.Key, keyCustomer, keyEventID, keyNone)
	oneOf("value", f.Value, valueJSON, valueAvro)
	oneOf("compression", f.Compression, "none", "lz4", "zstd", "snappy", "gzip")
	if f.MaxRecordBytes < 1<<10 || f.MaxRecordBytes > 100<<20 {
		wrong("max_record_bytes", f.MaxRecordBytes, fmt.Sprintf("a whole number from %d to %d", 1<<10, 100<<20))
	}
	if f.Timeout < time.Second || f.Timeout > 10*time.Minute {
		wrong("timeout", f.Timeout.String(), "a time from 1s to 10m")
	}
	if f.SASL.Mechanism != "" {
		oneOf("sasl.mechanism", f.SASL.Mechanism, "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER")
	}
	if f.Value == valueAvro && f.Registry.URL == "" {
		wrong("registry.url", nil, "the registry of the cluster is needed for value: avro")
	}
	problems = append(problems, within("registry.", f.Registry.Validate())...)
	return errors.Join(problems...)
}

// within are the problems of a part of the options, with its place before each.
func within(place string, err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, within(place, e)...)
		}
		return all
	}
	if p, ok := errors.AsType[config.Problem](err); ok {
		p.Field = place + strings.ToLower(p.Field) // some name the field of the struct
		return []error{p}
	}
	return []error{err}
}

// cluster is what package stream needs to know.
func (o Options) cluster(client string) stream.Config {
	return stream.Config{Brokers: o.Brokers, ClientID: client, Compression: o.Compression, TLS: o.TLS, SASL: o.SASL}
}

// isTopic reports whether Kafka takes a name for a topic's.
func isTopic(name string) bool {
	return len(name) <= 249 && name != "." && name != ".." && !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// isOurs reports whether a topic is called as one of ours, whatever TOPIC_PREFIX is.
func isOurs(topic string) bool {
	return slices.ContainsFunc(schema.Topics(), func(t schema.Topic) bool { return strings.HasSuffix(topic, t.Name) })
}

package kafkasink

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

func TestValidate(t *testing.T) {
	with := func(change func(*Options)) Options {
		o := Options{Brokers: []string{"kafka:9092"}, Topic: "analytics.engagement"}
		change(&o)
		return o
	}
	for _, test := range []struct {
		name    string
		options Options
		want    []string
	}{
		{"brokers and a topic are enough", with(func(*Options) {}), nil},
		{"nothing is not", Options{}, []string{"brokers", "topic"}},
		{"a list of nothing is none", with(func(o *Options) { o.Brokers = []string{" , "} }), []string{"brokers"}},
		{"a name that Kafka does not take", with(func(o *Options) { o.Topic = "an engagement" }), []string{"topic"}},
		{"a topic that we read", with(func(o *Options) { o.Topic = "braze.engagements" }), []string{"topic"}},
		{"a topic that we read, with a prefix", with(func(o *Options) { o.Topic = "stage.braze.actions" }), []string{"topic"}},
		{"a topic that others of us read", with(func(o *Options) { o.Topic = "customer.events" }), []string{"topic"}},
		{"our topic's name on another cluster", with(func(o *Options) { o.Topic, o.OtherCluster = "braze.engagements", true }), nil},
		{"a key there is not", with(func(o *Options) { o.Key = "random" }), []string{"key"}},
		{"a value there is not", with(func(o *Options) { o.Value = "protobuf" }), []string{"value"}},
		{"avro without a registry", with(func(o *Options) { o.Value = "avro" }), []string{"registry.url"}},
		{"a registry that is no URL", with(func(o *Options) { o.Registry.URL = "registry:8081" }), []string{"registry.url"}},
		{"a codec there is not", with(func(o *Options) { o.Compression = "brotli" }), []string{"compression"}},
		{"records without measure", with(func(o *Options) { o.MaxRecordBytes = 1 << 30 }), []string{"max_record_bytes"}},
		{"a timeout of a day", with(func(o *Options) { o.Timeout = 24 * time.Hour }), []string{"timeout"}},
		{"half a certificate", with(func(o *Options) { o.TLS.KeyFile = "key.pem" }), []string{"tls.cert_file"}},
		{"a mechanism there is not", with(func(o *Options) { o.SASL = stream.SASL{Mechanism: "GSSAPI", Username: "u", Password: "p"} }), []string{"sasl.mechanism"}},
		{"a mechanism without a password", with(func(o *Options) { o.SASL = stream.SASL{Mechanism: "PLAIN", Username: "u"} }), []string{"sasl.username"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := test.options.Validate()
			var fields []string
			if joined, ok := err.(interface{ Unwrap() []error }); ok {
				for _, e := range joined.Unwrap() {
					if p, ok := errors.AsType[config.Problem](e); ok {
						fields = append(fields, p.Field)
					}
				}
			}
			if diff := cmp.Diff(test.want, fields); diff != "" {
				t.Errorf("%s\n%v", diff, err)
			}
		})
	}
}

func TestOneVariableMayHoldSeveralBrokers(t *testing.T) {
	got := Options{Brokers: []string{"a:1, b:2", "c:3"}}.filled().Brokers
	if diff := cmp.Diff([]string{"a:1", "b:2", "c:3"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestClassify(t *testing.T) {
	for _, test := range []struct {
		name   string
		err    error
		kind   outcome.Kind
		reason string
		halt   bool
	}{
		{"a right that is missing", errors.New("TOPIC_AUTHORIZATION_FAILED: Topic authorization failed."), outcome.Deferred, "denied", true},
		{"a password that is wrong, further down", fmt.Errorf("fetching a producer id: %w", errors.New("SASL_AUTHENTICATION_FAILED: no")), outcome.Deferred, "denied", true},
		{"too few replicas", errors.New("NOT_ENOUGH_REPLICAS: fewer"), outcome.Deferred, "unavailable", false},
		{"nobody answers", errors.New("unable to dial: connection refused"), outcome.Deferred, "unavailable", false},
		{"an error without measure is cut", errors.New(strings.Repeat("x", 5000)), outcome.Deferred, "unavailable", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, halt := classify(test.err)
			if o.Kind != test.kind || o.Reason != test.reason || halt != test.halt || len(o.Detail) > longestDetail+len("…") {
				t.Errorf("%+v, halt %v", o, halt)
			}
		})
	}
}

package pipeline_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/pipeline"
)

func TestWhatIsNotConfiguredIsLocal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		environ []string
		want    pipeline.Local
	}{
		{"nothing", nil, pipeline.Local{Kafka: true, Registry: true, Braze: true, Key: true, Token: true, CRM: true}},
		{"a Kafka", []string{"KAFKA_BROKERS=k:9092"}, pipeline.Local{Registry: true, Braze: true, Key: true, Token: true, CRM: true}},
		{"a registry", []string{"SCHEMA_REGISTRY_URL=http://r:8081"}, pipeline.Local{Kafka: true, Braze: true, Key: true, Token: true, CRM: true}},
		{"a Braze", []string{"BRAZE_REST_ENDPOINT=https://rest.fra-01.braze.eu", "BRAZE_API_KEY=k"}, pipeline.Local{Kafka: true, Registry: true, Key: true, Token: true, CRM: true}},
		{"keys", []string{"INGEST_KEYS=shop:s3cret"}, pipeline.Local{Kafka: true, Registry: true, Braze: true, Token: true, CRM: true}},
		{"a variable that is empty", []string{"KAFKA_BROKERS="}, pipeline.Local{Kafka: true, Registry: true, Braze: true, Key: true, Token: true, CRM: true}},
		{"a file of what is written back", []string{"WRITEBACK_FILE=writeback.yaml"}, pipeline.Local{Kafka: true, Registry: true, Braze: true, Key: true, Token: true}},
		{"tokens of Currents", []string{"BRAZE_CURRENTS_TOKENS=t0k3n"}, pipeline.Local{Kafka: true, Registry: true, Braze: true, Key: true, CRM: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg, _, err := pipeline.Load(config.Options{Environ: append([]string{"X=1"}, c.environ...)})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, cfg.Local); diff != "" {
				t.Errorf("local (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddressesWithoutAHostAreOnLoopback(t *testing.T) {
	t.Parallel()
	cfg, _, err := pipeline.Load(config.Options{Environ: []string{
		"INGEST_ADDR=:18080", "CONTENT_ADDR=:18081", "OPS_ADDR=:0", "EMBEDDED_KAFKA_ADDR=:19092", "EMBEDDED_REGISTRY_ADDR=localhost:0", "SANDBOX_BRAZE_ADDR=:18090",
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{
		cfg.Ingest.Ingest.Addr, cfg.Content.Content.Addr, cfg.Ops.Addr, cfg.Sandbox.KafkaAddr, cfg.Sandbox.RegistryAddr,
		cfg.Sender.Kafka.Brokers[0], cfg.Ingest.Kafka.Brokers[0], cfg.Sender.Braze.Endpoint, cfg.DoorURL(), cfg.DoorKey(),
	}
	want := []string{
		"127.0.0.1:18080", "127.0.0.1:18081", "127.0.0.1:0", "127.0.0.1:19092", "127.0.0.1:0",
		"127.0.0.1:19092", "127.0.0.1:19092", "http://127.0.0.1:18090", "http://127.0.0.1:18080", "dev",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

func TestTheTokenThatEverybodyKnowsIsForLoopbackOnly(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]int{"127.0.0.1:8080": 1, "0.0.0.0:8080": 0} {
		cfg, _, err := pipeline.Load(config.Options{Environ: []string{"INGEST_ADDR=" + addr, "INGEST_KEYS=shop:s3cret"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := cfg.Ingest.Ingest.CurrentsTokens; len(got) != want {
			t.Errorf("at %s it takes %d tokens of Currents, want %d", addr, len(got), want)
		}
	}
}

func TestTheSinksOfACommandAreThoseOfTheFileElseOfTheRunOnThisMachine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "sinks.yaml")
	text := "sinks:\n  - {name: warehouse, kind: http, start: latest, http: {url: \"https://x.example/in\", auth: {scheme: bearer, secret: \"${WAREHOUSE_TOKEN}\"}}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		environ []string
		want    string
	}{
		{"a run on this machine", nil, "collector files"},
		{"a cluster without a file", []string{"KAFKA_BROKERS=k:9092"}, ""},
		{"a file whose variables are set elsewhere", []string{"KAFKA_BROKERS=k:9092", "SINKS_FILE=" + file}, "warehouse"},
	} {
		cfg, _, err := pipeline.Load(config.Options{Environ: append([]string{"X=1"}, c.environ...)})
		if err != nil {
			t.Fatal(err)
		}
		list, err := cfg.Sinks()
		var names []string
		for _, s := range list {
			names = append(names, s.Name)
		}
		if got := strings.Join(names, " "); err != nil || got != c.want {
			t.Errorf("%s: %s, %v; want %s", c.name, got, err, c.want)
		}
	}
}

func TestServicesShareWhatTheyShare(t *testing.T) {
	t.Parallel()
	cfg, _, err := pipeline.Load(config.Options{Environ: []string{"KAFKA_BROKERS=a:1,b:2", "TOPIC_PREFIX=t.", "SCHEMA_REGISTRY_URL=http://r:8081"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cfg.Ingest.Kafka, cfg.Sender.Kafka); diff != "" {
		t.Errorf("the services have different ideas of Kafka:\n%s", diff)
	}
	if cfg.Ingest.Registry.URL != cfg.Sender.Registry.URL || cfg.Ingest.Kafka.TopicPrefix != "t." {
		t.Errorf("ingest has %+v and %+v, braze-sender %+v", cfg.Ingest.Kafka, cfg.Ingest.Registry, cfg.Sender.Registry)
	}
}

func TestConfigurationsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		environ []string
		file    string
		want    []string // that the message names
	}{
		{
			"a Braze without a key",
			[]string{"BRAZE_REST_ENDPOINT=https://rest.fra-01.braze.eu"},
			"",
			[]string{"BRAZE_REST_ENDPOINT", "BRAZE_API_KEY"},
		},
		{
			"a key without a Braze",
			[]string{"BRAZE_API_KEY=0123456789"},
			"",
			[]string{"BRAZE_REST_ENDPOINT", "BRAZE_API_KEY"},
		},
		{
			"a front door for others that everybody's key opens",
			[]string{"INGEST_ADDR=0.0.0.0:8080"},
			"",
			[]string{"INGEST_KEYS", "INGEST_ADDR", "0.0.0.0:8080"},
		},
		{
			"a sandbox for others",
			[]string{"SANDBOX_BRAZE_ADDR=0.0.0.0:8090"},
			"",
			[]string{"sandbox.braze_addr", "SANDBOX_BRAZE_ADDR", "0.0.0.0:8090"},
		},
		{"a key that does not exist", nil, "sender:\n  lingre: 1s\n", []string{"lingre"}},
		{"a section that does not exist", nil, "sendre:\n  linger: 1s\n", []string{"sendre"}},
		{"two mistakes at once", []string{"BRAZE_API_KEY=0123456789", "BRAZE_LINGER=soon"}, "", []string{"BRAZE_REST_ENDPOINT", "BRAZE_LINGER", "soon"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			o := config.Options{Environ: append([]string{"X=1"}, c.environ...)}
			if c.file != "" {
				o.File = filepath.Join(t.TempDir(), "sluice.yaml")
				if err := os.WriteFile(o.File, []byte(c.file), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, _, err := pipeline.Load(o)
			var problem config.Problem
			if !errors.As(err, &problem) {
				t.Fatalf("got %v, want a configuration problem", err)
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the message does not name %s: %v", want, err)
				}
			}
			if strings.Contains(err.Error(), "0123456789") {
				t.Errorf("the message shows the key: %v", err)
			}
		})
	}
}

func TestKeysForOthersOpenTheDoorToOthers(t *testing.T) {
	t.Parallel()
	cfg, _, err := pipeline.Load(config.Options{Environ: []string{"INGEST_ADDR=0.0.0.0:8080", "INGEST_KEYS=shop:s3cret"}})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Ingest.Ingest.Addr != "0.0.0.0:8080" || cfg.DoorURL() != "http://127.0.0.1:8080" || cfg.DoorKey() != "s3cret" {
		t.Errorf("address %s, door %s, key %s", cfg.Ingest.Ingest.Addr, cfg.DoorURL(), cfg.DoorKey())
	}
}

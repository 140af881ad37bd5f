package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// rate is a type that reads text itself, like the "3000/3s" of an API budget.
type rate struct {
	n   int
	per time.Duration
}

func (r *rate) UnmarshalText(text []byte) error {
	n, per, _ := strings.Cut(string(text), "/")
	var errN, errPer error
	r.n, errN = strconv.Atoi(n)
	r.per, errPer = time.ParseDuration(per)
	if errors.Join(errN, errPer) != nil {
		return errors.New("a count and a time such as 3000/3s")
	}
	return nil
}

func (r rate) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%d/%s", r.n, r.per), nil }

type apiKey struct {
	Name    string   `yaml:"name" required:"true" doc:"who it is"`
	Key     Secret   `yaml:"key" required:"true" min:"8" doc:"what they show"`
	Sources []string `yaml:"sources" doc:"what they may speak for"`
	Weight  int      `yaml:"weight" default:"1" min:"1" max:"9"`
}

// apiKeys can stand in one variable: name=key, comma separated.
type apiKeys []apiKey

func (k *apiKeys) UnmarshalText(text []byte) error {
	*k = nil
	for part := range strings.SplitSeq(string(text), ",") {
		name, key, ok := strings.Cut(part, "=")
		if !ok {
			return fmt.Errorf("no key in %q", part)
		}
		*k = append(*k, apiKey{Name: name, Key: Secret(key), Weight: 1})
	}
	return nil
}

type brazeConfig struct {
	Endpoint   string        `yaml:"endpoint" env:"BRAZE_REST_ENDPOINT" required:"true" doc:"REST endpoint"`
	Key        Secret        `yaml:"api_key" env:"BRAZE_API_KEY" required:"true" doc:"REST API key"`
	Tokens     []Secret      `yaml:"tokens" env:"BRAZE_TOKENS" doc:"bearer tokens"`
	MaxObjects int           `yaml:"max_objects" env:"BRAZE_MAX_OBJECTS" default:"75" min:"1" max:"75" doc:"objects per call"`
	Legacy     bool          `yaml:"legacy_arrays" env:"BRAZE_LEGACY_ARRAYS" doc:"count per array"`
	Rate       rate          `yaml:"rate" env:"BRAZE_RATE" default:"3000/3s" doc:"budget"`
	Linger     time.Duration `yaml:"linger" env:"BRAZE_LINGER" default:"200ms" min:"0s" max:"10s" doc:"longest wait"`
	Jitter     float64       `yaml:"jitter" env:"BRAZE_JITTER" default:"0.5" min:"0" max:"1"`
}

func (c brazeConfig) Validate() error {
	if c.Legacy && c.MaxObjects > 50 {
		return Problem{Field: "MaxObjects", Value: c.MaxObjects, Allowed: "at most 50 with legacy_arrays"}
	}
	return nil
}

type common struct {
	Log struct {
		Level string `yaml:"level" env:"LOG_LEVEL" default:"info" oneof:"debug info warn" doc:"how much is said"`
	} `yaml:"log"`
}

type testConfig struct {
	common `yaml:",inline"`
	Braze  brazeConfig `yaml:"braze"`
	Kafka  struct {
		Brokers []string `yaml:"brokers" env:"KAFKA_BROKERS" default:"localhost:9092" min:"1" doc:"where to begin"`
	} `yaml:"kafka"`
	Ingest struct {
		Addr string  `yaml:"addr" env:"INGEST_ADDR" default:":8080" doc:"front door"`
		Keys apiKeys `yaml:"keys" env:"INGEST_KEYS" doc:"who may come in"`
		Port uint16  `yaml:"port" env:"INGEST_PORT"`
	} `yaml:"ingest"`
}

// complete is an environment in which nothing is missing.
var complete = []string{"BRAZE_REST_ENDPOINT=https://rest.example", "BRAZE_API_KEY=0123-secret"}

func write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestALaterLayerWins(t *testing.T) {
	file := write(t, "sluice.yaml", `
braze:
  endpoint: https://file.example
  linger: 1s
  rate: 10/1s
  tokens: [one-token, "two,token"]
kafka:
  brokers: [a:1, b:2]
ingest:
  keys:
    - {name: web, key: 01234567, sources: [shop], weight: 3}
    - name: app
      key: "appsecret"
`)
	c, report, err := Load[testConfig](Options{File: file, Environ: append([]string{
		"BRAZE_LINGER=2s", "KAFKA_BROKERS= c:3 ,,d:4 ", "BRAZE_MAX_OBJECTS=", "INGEST_PORT=65535",
	}, complete...)})
	if err != nil {
		t.Fatal(err)
	}
	var want testConfig
	want.Log.Level = "info"
	want.Braze = brazeConfig{
		Endpoint: "https://rest.example", Key: "0123-secret", Tokens: []Secret{"one-token", "two,token"},
		MaxObjects: 75, Rate: rate{10, time.Second}, Linger: 2 * time.Second, Jitter: 0.5,
	}
	want.Kafka.Brokers = []string{"c:3", "d:4"}
	want.Ingest.Addr, want.Ingest.Port = ":8080", 65535
	want.Ingest.Keys = apiKeys{
		{Name: "web", Key: "01234567", Sources: []string{"shop"}, Weight: 3},
		{Name: "app", Key: "appsecret", Weight: 1},
	}
	if diff := cmp.Diff(want, c, cmp.AllowUnexported(rate{}, testConfig{}, common{})); diff != "" {
		t.Error(diff)
	}

	origins := map[string]string{}
	for _, s := range report.Settings {
		origins[s.Field] = s.Origin
	}
	wantOrigins := map[string]string{
		"log.level": "default", "braze.endpoint": "env BRAZE_REST_ENDPOINT", "braze.api_key": "env BRAZE_API_KEY",
		"braze.tokens": file + ":6", "braze.max_objects": "default", "braze.legacy_arrays": "unset",
		"braze.rate": file + ":5", "braze.linger": "env BRAZE_LINGER", "braze.jitter": "default",
		"kafka.brokers": "env KAFKA_BROKERS", "ingest.addr": "default", "ingest.keys": file + ":10",
		"ingest.port": "env INGEST_PORT",
	}
	if diff := cmp.Diff(wantOrigins, origins); diff != "" {
		t.Error(diff)
	}
}

func TestTheFileMayBeNamedByTheEnvironment(t *testing.T) {
	file := write(t, "sluice.yaml", "braze: {linger: 3s}")
	c, _, err := Load[testConfig](Options{Environ: append([]string{FileEnv + "=" + file}, complete...)})
	if err != nil {
		t.Fatal(err)
	}
	if c.Braze.Linger != 3*time.Second {
		t.Errorf("linger is %s", c.Braze.Linger)
	}
}

func TestDefaultsCanBeReplaced(t *testing.T) {
	c, _, err := Load[testConfig](Options{Environ: []string{}, Defaults: map[string]string{
		"braze.endpoint": "http://127.0.0.1:8090", "braze.api_key": "sandbox", "ingest.keys": "dev=devdevdev",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Braze.Key != "sandbox" || c.Braze.Endpoint != "http://127.0.0.1:8090" || c.Ingest.Keys[0].Key != "devdevdev" {
		t.Errorf("got %#v with key %q", c, c.Braze.Key.Reveal())
	}
}

func TestAPathDeclaredByTwoConfigurationsIsSetInBoth(t *testing.T) {
	type kafka struct {
		Brokers []string `yaml:"brokers" env:"KAFKA_BROKERS" required:"true"`
	}
	type service struct {
		Kafka kafka `yaml:"kafka"`
	}
	type process struct {
		Ingest service `yaml:",inline"`
		Sender service `yaml:",inline"`
	}
	c, report, err := Load[process](Options{Environ: []string{"KAFKA_BROKERS=a:1"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(c.Ingest, c.Sender); diff != "" || len(c.Sender.Kafka.Brokers) != 1 {
		t.Errorf("they differ, or are empty:\n%s", diff)
	}
	if len(report.Settings) != 1 {
		t.Errorf("the report has %d settings, want the path once", len(report.Settings))
	}
}

func TestSecretsComeFromFiles(t *testing.T) {
	secret := write(t, "key", "from-a-file\r\n")
	keys := write(t, "keys", "web=webwebweb,app=appappapp\n")
	for _, tc := range []struct {
		name, yaml string
		env        []string
		origin     string
	}{
		{name: "named by a variable", env: []string{"BRAZE_API_KEY_FILE=" + secret}, origin: "file named by BRAZE_API_KEY_FILE"},
		{name: "named in the YAML file", yaml: "braze: {api_key_file: " + secret + "}", origin: "file named at sluice.yaml:1"},
		{
			name: "and the variable wins over the YAML file", yaml: "braze: {api_key: other}",
			env: []string{"BRAZE_API_KEY_FILE=" + secret}, origin: "file named by BRAZE_API_KEY_FILE",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			env := append([]string{"BRAZE_REST_ENDPOINT=x", "INGEST_KEYS_FILE=" + keys}, tc.env...)
			file := write(t, "sluice.yaml", tc.yaml)
			c, report, err := Load[testConfig](Options{File: file, Environ: env})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Braze.Key.Reveal(); got != "from-a-file" {
				t.Errorf("the key is %q", got)
			}
			if len(c.Ingest.Keys) != 2 || c.Ingest.Keys[1].Key != "appappapp" {
				t.Errorf("ingest keys: %v", c.Ingest.Keys)
			}
			for _, s := range report.Settings {
				if got := strings.ReplaceAll(s.Origin, file, "sluice.yaml"); s.Field == "braze.api_key" && got != tc.origin {
					t.Errorf("origin is %q, want %q", got, tc.origin)
				}
			}
		})
	}
}

func TestDeclarationsThatCannotBeRightPanic(t *testing.T) {
	type a struct {
		N int `yaml:"n" default:"1"`
	}
	type b struct {
		N int `yaml:"n" default:"2"`
	}
	for name, load := range map[string]func(){
		"no yaml key": func() { Fields[struct{ A string }]() },
		"a default of another kind": func() {
			_, _, _ = Load[struct {
				A int `yaml:"a" default:"many"`
			}](Options{Environ: []string{}})
		},
		"a type without text": func() {
			Fields[struct {
				A func() `yaml:"a"`
			}]()
		},
		"a bound of another kind": func() {
			Fields[struct {
				A time.Duration `yaml:"a" min:"5"`
			}]()
		},
		"a path declared twice, differently": func() {
			Fields[struct {
				A a `yaml:",inline"`
				B b `yaml:",inline"`
			}]()
		},
		"a replaced default nobody declared": func() {
			_, _, _ = Load[a](Options{Environ: []string{}, Defaults: map[string]string{"m": "1"}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			load()
		})
	}
}

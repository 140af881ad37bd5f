package pipeline

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/services/ingest"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
	contentcacher "github.com/sluicehq/sluice/services/content-cacher"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

// Config is the whole configuration file: the sections of every service, and the two that only this
// process knows. Sections that services share are read once and given to all of them.
type Config struct {
	daemon.Config `yaml:",inline"`

	Ingest    ingest.Config         `yaml:",inline"`
	Sync      attributesync.Config  `yaml:",inline"`
	Sender    brazesender.Config    `yaml:",inline"`
	Fanout    currentsfanout.Config `yaml:",inline"`
	Content   contentcacher.Config  `yaml:",inline"`
	Writeback crmwriteback.Config   `yaml:",inline"`
	Sandbox   Sandbox               `yaml:"sandbox"`
	Simulate  Simulate              `yaml:"simulate"`

	// Local says what nobody has configured, and so runs in this process.
	Local Local `yaml:"-"`
}

// Sandbox is where the stand-ins listen that take the place of what is not configured. They bind to
// loopback only.
type Sandbox struct {
	KafkaAddr    string `yaml:"kafka_addr" env:"EMBEDDED_KAFKA_ADDR" default:":9092" doc:"where the embedded Kafka listens under sluice run when KAFKA_BROKERS is not set, on loopback; port 0 picks a free one and prints it"`
	RegistryAddr string `yaml:"registry_addr" env:"EMBEDDED_REGISTRY_ADDR" default:":8085" doc:"where the embedded schema registry listens when SCHEMA_REGISTRY_URL is not set, on loopback"`
	BrazeAddr    string `yaml:"braze_addr" env:"SANDBOX_BRAZE_ADDR" default:":8090" doc:"where the Braze sandbox listens when BRAZE_REST_ENDPOINT and BRAZE_API_KEY are not set, on loopback"`
	CRMAddr      string `yaml:"crm_addr" env:"SANDBOX_CRM_ADDR" default:":8091" doc:"where the sandbox of three CRMs listens when WRITEBACK_FILE is not set, nor any variable of the file that is built in, on loopback"`
	DataDir      string `yaml:"data_dir" env:"SLUICE_DATA_DIR" doc:"folder in which the embedded Kafka and registry keep their data; a temporary one that is removed at the end when empty"`
	// Currents goes to the front door of the same process, as Braze's own goes to it from outside.
	Currents  bool    `yaml:"currents" env:"SANDBOX_CURRENTS" default:"true" doc:"let the Braze sandbox report through Currents what customers do, and send webhooks"`
	Marketing float64 `yaml:"marketing" env:"SANDBOX_MARKETING" default:"0.2" min:"0" max:"1" doc:"probability that something a customer does makes the sandbox send them a message, as an action-based campaign would"`
}

// Validate holds the stand-ins to loopback: nobody has to say who they are to talk to them.
func (s Sandbox) Validate() error {
	var problems []error
	for field, addr := range map[string]string{"kafka_addr": s.KafkaAddr, "registry_addr": s.RegistryAddr, "braze_addr": s.BrazeAddr, "crm_addr": s.CRMAddr} {
		if !isLoopback(onLoopback(addr)) {
			problems = append(problems, config.Problem{Field: field, Value: addr, Allowed: "a port such as :9092 or a loopback address such as 127.0.0.1:9092"})
		}
	}
	return errors.Join(problems...)
}

// Simulate is how invented customers behave, and where the front door is that sluice simulate and
// sluice probe go through.
type Simulate struct {
	URL       string        `yaml:"url" env:"SLUICE_URL" doc:"front door to go through; the one at INGEST_ADDR on this machine when empty"`
	Key       config.Secret `yaml:"key" env:"SLUICE_KEY" doc:"API key for it; the first of INGEST_KEYS when empty"`
	Seed      uint64        `yaml:"seed" env:"SIMULATE_SEED" default:"0" doc:"one seed tells one story; another each time when 0"`
	Customers int           `yaml:"customers" env:"SIMULATE_CUSTOMERS" default:"50" min:"1" max:"1000000" doc:"how many invented customers there are"`
	Rate      float64       `yaml:"rate" env:"SIMULATE_RATE" default:"5" min:"0" max:"1000000" doc:"events a second; as fast as they are taken when 0"`
}

// Local says which parts run in this process because nobody has configured others.
type Local struct {
	Kafka    bool
	Registry bool
	Braze    bool // the sandbox
	CRM      bool // likewise
	Key      bool // the API key that everybody knows
	Token    bool // likewise the token of Currents
}

// localKey is the API key of a front door that only this machine reaches.
const localKey = "dev"

// The fields that decide what is local.
const (
	fieldBrokers  = "kafka.brokers"
	fieldRegistry = "registry.url"
	fieldEndpoint = "braze.rest_endpoint"
	fieldAPIKey   = "braze.api_key"
	fieldKeys     = "ingest.keys"
	fieldTokens   = "ingest.currents_tokens"
	fieldIngest   = "ingest.addr"
	fieldContent  = "content.addr"
	fieldOps      = "ops.addr"
	fieldWrites   = "writeback.file"
)

// localDefaults take the place of what has no default elsewhere, because it must be configured there.
func localDefaults() map[string]string {
	return map[string]string{
		fieldBrokers:  "127.0.0.1:9092",
		fieldRegistry: "http://127.0.0.1:8085",
		fieldEndpoint: "http://127.0.0.1:8090",
		fieldAPIKey:   "sandbox",
		fieldKeys:     localKey + ":" + localKey,
		fieldTokens:   localKey,
		fieldIngest:   "127.0.0.1:8080",
		fieldContent:  "127.0.0.1:8081",
		fieldOps:      "127.0.0.1:9090",
	}
}

// Load reads the configuration of a process that runs everything, and of the commands that talk to
// such a process: what is not configured is local. The error is of type config.Problems.
func Load(opts config.Options) (Config, *config.Report, error) {
	opts.Defaults = localDefaults()
	c, report, err := config.Load[Config](opts)
	set := map[string]bool{}
	for _, s := range report.Settings {
		set[s.Field] = s.Origin != "default" && s.Origin != "unset"
	}
	c.Local = Local{
		Kafka: !set[fieldBrokers], Registry: !set[fieldRegistry],
		Braze: !set[fieldEndpoint] && !set[fieldAPIKey], Key: !set[fieldKeys], Token: !set[fieldTokens],
		CRM: !set[fieldWrites] && !anyCRM(),
	}
	c.settle()
	c.amend(report)
	var problems config.Problems
	if err != nil && !errors.As(err, &problems) {
		return c, report, err
	}
	problems = append(problems, c.halfSet(set[fieldEndpoint], set[fieldAPIKey])...)
	problems = append(problems, c.openDoor()...)
	if len(problems) > 0 {
		return c, report, problems
	}
	return c, report, nil
}

// settle makes the addresses of this mode what they mean: without a host they are on loopback, and
// what is local is where the stand-ins listen.
func (c *Config) settle() {
	c.Ingest.Ingest.Addr = onLoopback(c.Ingest.Ingest.Addr)
	c.Content.Content.Addr = onLoopback(c.Content.Content.Addr)
	c.Ops.Addr = onLoopback(c.Ops.Addr)
	c.Sandbox.KafkaAddr = onLoopback(c.Sandbox.KafkaAddr)
	c.Sandbox.RegistryAddr = onLoopback(c.Sandbox.RegistryAddr)
	c.Sandbox.BrazeAddr = onLoopback(c.Sandbox.BrazeAddr)
	c.Sandbox.CRMAddr = onLoopback(c.Sandbox.CRMAddr)
	if c.Local.Kafka {
		c.useKafka(c.Sandbox.KafkaAddr)
	}
	if c.Local.Registry {
		c.useRegistry("http://" + c.Sandbox.RegistryAddr)
	}
	if c.Local.Braze {
		c.useBraze("http://" + c.Sandbox.BrazeAddr)
	}
	if c.Local.Token && !isLoopback(c.Ingest.Ingest.Addr) {
		c.Ingest.Ingest.CurrentsTokens = nil // nothing is taken with a token that everybody knows
	}
}

// amend lets the report say where the stand-ins really are.
func (c *Config) amend(report *config.Report) {
	for i, s := range report.Settings {
		switch {
		case s.Field == fieldBrokers && c.Local.Kafka:
			report.Settings[i].Value = []any{c.Sandbox.KafkaAddr}
		case s.Field == fieldRegistry && c.Local.Registry:
			report.Settings[i].Value = "http://" + c.Sandbox.RegistryAddr
		case s.Field == fieldEndpoint && c.Local.Braze:
			report.Settings[i].Value = "http://" + c.Sandbox.BrazeAddr
		}
	}
}

// The services' configurations are values of their own: what is picked at run time is put into each.
func (c *Config) useKafka(addr string) {
	c.Ingest.Kafka.Brokers = []string{addr}
	c.Sync.Kafka.Brokers = []string{addr}
	c.Sender.Kafka.Brokers = []string{addr}
	c.Fanout.Kafka.Brokers = []string{addr}
	c.Content.Kafka.Brokers = []string{addr}
	c.Writeback.Kafka.Brokers = []string{addr}
}

func (c *Config) useRegistry(url string) {
	c.Ingest.Registry.URL = url
	c.Sync.Registry.URL = url
	c.Sender.Registry.URL = url
	c.Fanout.Registry.URL = url
	c.Content.Registry.URL = url
	c.Writeback.Registry.URL = url
}

func (c *Config) useBraze(url string) { c.Sender.Braze.Endpoint = url }

// halfSet says what is wrong when a real Braze is only half configured: events meant for it would go
// to the sandbox, or the sandbox's key to it.
func (c *Config) halfSet(endpoint, key bool) config.Problems {
	switch {
	case endpoint && !key:
		return config.Problems{{
			Field: fieldAPIKey, Env: "BRAZE_API_KEY",
			Allowed: "BRAZE_REST_ENDPOINT is set and BRAZE_API_KEY is not; set both to talk to Braze, or neither to use the sandbox",
		}}
	case key && !endpoint:
		return config.Problems{{
			Field: fieldEndpoint, Env: "BRAZE_REST_ENDPOINT",
			Allowed: "BRAZE_API_KEY is set and BRAZE_REST_ENDPOINT is not; set both to talk to Braze, or neither to use the sandbox",
		}}
	}
	return nil
}

// openDoor says what is wrong when others could come in with the key that everybody knows.
func (c *Config) openDoor() config.Problems {
	if !c.Local.Key || isLoopback(c.Ingest.Ingest.Addr) {
		return nil
	}
	return config.Problems{{
		Field: fieldKeys, Env: "INGEST_KEYS",
		Allowed: "required, because INGEST_ADDR (" + c.Ingest.Ingest.Addr + ") can be reached from other machines; the key " + localKey + " is for loopback only",
	}}
}

// onLoopback puts an address without a host on loopback.
func onLoopback(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err == nil && (host == "" || host == "localhost") {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// DoorURL is the front door that simulate and probe go through.
func (c *Config) DoorURL() string {
	return strings.TrimRight(cmp.Or(c.Simulate.URL, "http://"+reachable(c.Ingest.Ingest.Addr)), "/")
}

// DoorKey is an API key for it.
func (c *Config) DoorKey() string {
	if c.Simulate.Key != "" {
		return c.Simulate.Key.Reveal()
	}
	if len(c.Ingest.Ingest.Keys) > 0 {
		return c.Ingest.Ingest.Keys[0].Key.Reveal()
	}
	return localKey
}

// currentsToken is a token that Currents may come with; empty where none is taken.
func (c *Config) currentsToken() string {
	if tokens := c.Ingest.Ingest.CurrentsTokens; len(tokens) > 0 {
		return tokens[0].Reveal()
	}
	return ""
}

// reachable is an address that can be dialled, for one that is listened on.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

// PickSeed chooses a seed where none is configured. It is a short one, for people to repeat.
func (c *Config) PickSeed() {
	if c.Simulate.Seed == 0 {
		c.Simulate.Seed = 1 + rand.Uint64N(99_999) //nolint:gosec // no secret
	}
}

// Targets are the services that there are, in the order in which records pass through them.
func Targets() []string {
	names := make([]string, len(modules))
	for i, m := range modules {
		names[i] = m.name
	}
	return names
}

// CheckTargets returns an UnknownTargetError for the first name that is none.
func CheckTargets(named []string) error {
	_, err := checkTargets(named)
	return err
}

// checkTargets returns what to run: what is named, all when nothing is.
func checkTargets(named []string) ([]module, error) {
	var picked []module
	for _, name := range named {
		if name != "all" && !slices.Contains(Targets(), name) {
			return nil, UnknownTargetError(name)
		}
	}
	for _, m := range modules {
		if len(named) == 0 || slices.Contains(named, "all") || slices.Contains(named, m.name) {
			picked = append(picked, m)
		}
	}
	return picked, nil
}

// UnknownTargetError is the name of a service that there is not.
type UnknownTargetError string

// Error names those there are.
func (e UnknownTargetError) Error() string {
	return "there is no service " + string(e) + "; there are " + strings.Join(Targets(), ", ") + ", and all"
}

package httpsink

import (
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// Options say how an HTTP sink is spoken to. What a preset sets stands where the options leave it open; for
// that they have no default tags, which would look as if somebody had chosen the value.
type Options struct {
	Preset string `yaml:"preset" oneof:"clickhouse bigquery segment posthog" doc:"where to begin from: format, template, limits and reading of answers of a well-known receiver"`

	URL     string                   `yaml:"url" doc:"where requests go: http or https, without credentials in it"`
	Method  string                   `yaml:"method" oneof:"POST PUT PATCH" doc:"how; POST when empty"`
	Query   map[string]config.Secret `yaml:"query" doc:"parameters put behind the URL; {batch_id} in a value stands for the id of the request"`
	Headers map[string]config.Secret `yaml:"headers" doc:"headers of every request; may hold secrets"`

	Format   string        `yaml:"format" oneof:"array ndjson single" doc:"a JSON array of events, one event a line, or a request for each event; array when empty"`
	Template string        `yaml:"template" doc:"jq program that makes of an event's document what is sent for it; the document itself when empty"`
	Envelope config.Secret `yaml:"envelope" doc:"JSON around the array, which stands in it as [...], such as {\"batch\": [...]}; may hold secrets"`
	Compress string        `yaml:"compress" oneof:"none gzip" doc:"how bodies of requests are compressed; not at all when empty"`

	MaxBytes      int `yaml:"max_bytes" min:"1024" max:"104857600" doc:"longest body before compression; what a batch has more goes in further requests; 8388608 when 0"`
	MaxEvents     int `yaml:"max_events" min:"0" doc:"most events in one request; as many as the batch has when 0"`
	MaxEventBytes int `yaml:"max_event_bytes" min:"64" max:"104857600" doc:"longest that one event may be as it is sent; a longer one is refused; 1048576 when 0"`

	Auth     Auth   `yaml:"auth"`
	Sign     Sign   `yaml:"sign"`
	IDHeader string `yaml:"id_header" doc:"header that carries the id of the request, such as Idempotency-Key; of format single it is the event's id"`

	Timeout  time.Duration `yaml:"timeout" min:"100ms" max:"10m" doc:"longest wait for one answer, with its body; 30s when 0"`
	Success  []int         `yaml:"success" doc:"statuses that mean taken; every 2xx when empty"`
	Verdicts string        `yaml:"verdicts" doc:"jq program that reads from an answer's body what became of single events"`

	TLS TLS `yaml:"tls"`

	// What presets need to know.
	Table string        `yaml:"table" doc:"of preset clickhouse: the table, or database.table"`
	Key   config.Secret `yaml:"key" doc:"of presets segment and posthog: the write key, or the project's key"`
}

// Auth is how requests say who sends them.
type Auth struct {
	Scheme   string            `yaml:"scheme" oneof:"none bearer basic header oauth2 google" doc:"a bearer token, a user name and password, a header, a token by OAuth2 client credentials, or one of a Google service account"`
	Secret   config.Secret     `yaml:"secret" doc:"the token, the password, the header's value or the client secret"`
	Username string            `yaml:"username" doc:"of scheme basic"`
	Header   string            `yaml:"header" doc:"of scheme header: its name"`
	ClientID string            `yaml:"client_id" doc:"of scheme oauth2"`
	TokenURL string            `yaml:"token_url" doc:"of scheme oauth2: where tokens are had"`
	Scopes   []string          `yaml:"scopes" doc:"of schemes oauth2 and google"`
	Params   map[string]string `yaml:"params" doc:"of scheme oauth2: further parameters of the token's request, such as audience"`
	KeyFile  string            `yaml:"key_file" doc:"of scheme google: the service account's key as JSON; the machine's own account when empty"`
}

// Sign is how requests are signed: as Standard Webhooks are (standardwebhooks.com).
type Sign struct {
	Secrets []config.Secret `yaml:"secrets" doc:"whsec_ and base64 each; several while one takes another's place: every request carries a signature of each"`
}

// TLS is how the connection is protected.
type TLS struct {
	CAFile     string `yaml:"ca_file" doc:"PEM file of the authorities to trust; the system's when empty"`
	CertFile   string `yaml:"cert_file" doc:"PEM file of the client certificate"`
	KeyFile    string `yaml:"key_file" doc:"PEM file of its key"`
	ServerName string `yaml:"server_name" doc:"name expected in the server's certificate, where it is not the URL's host"`
}

func (t TLS) set() bool { return t != TLS{} }

// What stands where neither the options nor a preset say anything.
const (
	defaultTimeout       = 30 * time.Second
	defaultMaxBytes      = 8 << 20
	defaultMaxEventBytes = 1 << 20
)

const (
	formatArray  = "array"
	formatNDJSON = "ndjson"
	formatSingle = "single"

	compressNone = "none"
	compressGzip = "gzip"
)

const (
	schemeNone   = "none"
	schemeBearer = "bearer"
	schemeBasic  = "basic"
	schemeHeader = "header"
	schemeOAuth2 = "oauth2"
	schemeGoogle = "google"
)

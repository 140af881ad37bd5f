package httptarget

import (
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// Options say how a system is written to.
//
// The programs' input is a row, {"id", "object", "key_field", "key", "mode", "fields", "user", "edited_at"}; in batch
// form {"id", "object", "key_field", "mode", "rows": [row, …]}, whose id is made of the rows' ids.
type Options struct {
	URL         string                   `yaml:"url" doc:"what every path is put behind: http or https, without credentials in it"`
	Path        string                   `yaml:"path" doc:"jq program that makes the rest of the URL, such as @uri \"/customers/\\(.key)\"; none when empty"`
	Method      string                   `yaml:"method" doc:"POST, PUT, PATCH or DELETE, or a jq program that yields one; POST when empty"`
	Headers     map[string]config.Secret `yaml:"headers" doc:"headers of every request; may hold secrets"`
	HeadersFrom string                   `yaml:"headers_from" doc:"jq program that yields an object of further headers; null leaves one out"`
	Body        string                   `yaml:"body" doc:"jq program that makes the body; .fields when empty, or of a batch {rows: [.rows[] | .fields]}; a program that yields nothing skips the row, null sends no body"`
	Encoding    string                   `yaml:"encoding" oneof:"json form" doc:"of the body: json, or form for application/x-www-form-urlencoded with names such as billing_address[city]; json when empty"`
	Batch       Batch                    `yaml:"batch"`
	IDHeader    string                   `yaml:"id_header" doc:"header that carries the row's id, or that of the batch, such as Idempotency-Key"`
	Verdicts    string                   `yaml:"verdicts" doc:"jq program over {status, headers, body, rows} that says what became of the rows; by the status alone when empty"`
	Auth        Auth                     `yaml:"auth"`
	TLS         TLS                      `yaml:"tls"`
	Timeout     time.Duration            `yaml:"timeout" min:"100ms" max:"10m" doc:"longest wait for one answer, with its body; 30s when 0"`
	Calls       int                      `yaml:"calls" min:"1" max:"64" doc:"calls that the system takes at once; 4 when 0"`
}

// Batch is how many rows go in one call. Without rows each goes alone.
type Batch struct {
	Rows  int `yaml:"rows" min:"0" max:"10000" doc:"most rows in one call; batch form is off when 0"`
	Bytes int `yaml:"bytes" min:"1024" max:"8388608" doc:"most bytes of their fields and keys; 1048576 when 0"`
}

// Auth is how requests say who sends them.
type Auth struct {
	Scheme   string            `yaml:"scheme" oneof:"none bearer basic header oauth2" doc:"a bearer token, a user name and password, a header, or a token by OAuth2 client credentials"`
	Secret   config.Secret     `yaml:"secret" doc:"the token, the password, the header's value or the client secret"`
	Username config.Secret     `yaml:"username" doc:"of scheme basic; some systems have their key here, and no password"`
	Header   string            `yaml:"header" doc:"of scheme header: its name"`
	ClientID string            `yaml:"client_id" doc:"of scheme oauth2"`
	TokenURL string            `yaml:"token_url" doc:"of scheme oauth2: where tokens are had"`
	Scopes   []string          `yaml:"scopes" doc:"of scheme oauth2"`
	Params   map[string]string `yaml:"params" doc:"of scheme oauth2: further parameters of the token's request, such as audience"`
}

// What stands where the options say nothing.
const (
	defaultTimeout    = 30 * time.Second
	defaultCalls      = 4
	defaultBatchBytes = 1 << 20
	// maxBody bounds what a program may make of rows.
	maxBody = 16 << 20
)

const (
	encodingJSON = "json"
	encodingForm = "form"

	schemeNone   = "none"
	schemeBearer = "bearer"
	schemeBasic  = "basic"
	schemeHeader = "header"
	schemeOAuth2 = "oauth2"
)

package httpsink

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
)

// goodSecret is of 24 bytes.
const goodSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestValidate(t *testing.T) {
	with := func(change func(*Options)) Options {
		o := Options{URL: "https://collector.example/in"}
		change(&o)
		return o
	}
	for _, test := range []struct {
		name    string
		options Options
		want    []string // the fields that are wrong
	}{
		{"a URL is enough", with(func(*Options) {}), nil},
		{"nothing is not", Options{}, []string{"url"}},
		{"a URL has a scheme", with(func(o *Options) { o.URL = "collector.example/in" }), []string{"url"}},
		{"a URL is of http", with(func(o *Options) { o.URL = "ftp://collector.example/in" }), []string{"url"}},
		{"credentials do not stand in the URL", with(func(o *Options) { o.URL = "https://me:pass@collector.example/in" }), []string{"url"}},
		{"a method with a body", with(func(o *Options) { o.Method = "GET" }), []string{"method"}},
		{"a format there is", with(func(o *Options) { o.Format = "csv" }), []string{"format"}},
		{"a preset there is", with(func(o *Options) { o.Preset = "snowflake" }), []string{"preset"}},
		{"a template that is no jq", with(func(o *Options) { o.Template = "{id: .id" }), []string{"template"}},
		{"a template with a variable that there is not", with(func(o *Options) { o.Template = "$key" }), []string{"template"}},
		{"verdicts that are no jq", with(func(o *Options) { o.Verdicts = "|" }), []string{"verdicts"}},
		{"an envelope without a place", with(func(o *Options) { o.Envelope = `{"batch": []}` }), []string{"envelope"}},
		{"an envelope whose place is in a text", with(func(o *Options) { o.Envelope = `{"batch": "[...]"}` }), []string{"envelope"}},
		{"an envelope with two places", with(func(o *Options) { o.Envelope = `[[...],[...]]` }), []string{"envelope"}},
		{"an envelope that is no JSON", with(func(o *Options) { o.Envelope = `{batch: [...]}` }), []string{"envelope"}},
		{"an envelope around lines", with(func(o *Options) { o.Format, o.Envelope = "ndjson", `{"batch": [...]}` }), []string{"envelope"}},
		{"a header with a space in its name", with(func(o *Options) { o.Headers = map[string]config.Secret{"X Key": "a"} }), []string{"headers.X Key"}},
		{"a header with two lines", with(func(o *Options) { o.Headers = map[string]config.Secret{"X-Key": "a\r\nX-Evil: 1"} }), []string{"headers.X-Key"}},
		{"a header that is ours", with(func(o *Options) { o.Headers = map[string]config.Secret{"content-length": "1"} }), []string{"headers.content-length"}},
		{"an id header with a colon", with(func(o *Options) { o.IDHeader = "Idempotency-Key:" }), []string{"id_header"}},
		{"a timeout of a day", with(func(o *Options) { o.Timeout = 24 * time.Hour }), []string{"timeout"}},
		{"a limit as a success", with(func(o *Options) { o.Success = []int{200, 429} }), []string{"success"}},
		{"a redirect as a success", with(func(o *Options) { o.Success = []int{302} }), []string{"success"}},
		{"a conflict as a success", with(func(o *Options) { o.Success = []int{200, 409} }), nil},
		{"half a client certificate", with(func(o *Options) { o.TLS.CertFile = "cert.pem" }), []string{"tls.cert_file"}},
		{"a secret without a scheme", with(func(o *Options) { o.Auth.Secret = "s" }), []string{"auth.scheme"}},
		{"a scheme there is not", with(func(o *Options) { o.Auth.Scheme = "digest" }), []string{"auth.scheme"}},
		{"a bearer without a token", with(func(o *Options) { o.Auth.Scheme = "bearer" }), []string{"auth.secret"}},
		{"a bearer of two lines", with(func(o *Options) { o.Auth = Auth{Scheme: "bearer", Secret: "a\nb"} }), []string{"auth.secret"}},
		{"basic without a user", with(func(o *Options) { o.Auth.Scheme = "basic" }), []string{"auth.username"}},
		{"a header without a name", with(func(o *Options) { o.Auth = Auth{Scheme: "header", Secret: "s"} }), []string{"auth.header"}},
		{"oauth2 without anything", with(func(o *Options) { o.Auth.Scheme = "oauth2" }), []string{"auth.client_id", "auth.secret", "auth.token_url"}},
		{"a signing secret that is none", with(func(o *Options) { o.Sign.Secrets = []config.Secret{goodSecret, "whsec_secret!"} }), []string{"sign.secrets[1]"}},
		{"a signing secret that is too short", with(func(o *Options) { o.Sign.Secrets = []config.Secret{"whsec_c2hvcnQ="} }), []string{"sign.secrets[0]"}},
		{"a body that is compressed and signed", with(func(o *Options) { o.Compress, o.Sign.Secrets = "gzip", []config.Secret{goodSecret} }), []string{"compress"}},
		{"clickhouse without a table", with(func(o *Options) { o.Preset = "clickhouse" }), []string{"table"}},
		{"clickhouse with a table that is more", with(func(o *Options) { o.Preset, o.Table = "clickhouse", "t` FORMAT Null --" }), []string{"table"}},
		{"clickhouse with an INSERT of one's own", with(func(o *Options) {
			o.Preset, o.Query = "clickhouse", map[string]config.Secret{"query": "INSERT INTO t (a) FORMAT JSONEachRow"}
		}), nil},
		{"segment without a key", Options{Preset: "segment"}, []string{"key"}},
		{"segment knows where to go", Options{Preset: "segment", Key: "k"}, nil},
		{"posthog without a key", with(func(o *Options) { o.Preset = "posthog" }), []string{"key"}},
		{"bigquery", with(func(o *Options) { o.Preset = "bigquery" }), nil},
		{"everything comes together", Options{URL: "x", Method: "GET", Format: "csv", Compress: "lzma"}, []string{"method", "format", "compress", "url"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := fmt.Sprintf("%#v", test.options)
			err := test.options.Validate()
			if diff := cmp.Diff(test.want, fieldsOf(err)); diff != "" {
				t.Errorf("%s\n%v", diff, err)
			}
			if after := fmt.Sprintf("%#v", test.options); before != after {
				t.Error("Validate has changed the options")
			}
		})
	}
}

func fieldsOf(err error) []string {
	var fields []string
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			if p, ok := errors.AsType[config.Problem](e); ok {
				fields = append(fields, p.Field)
			}
		}
	}
	return fields
}

func TestProblemsTellNoSecrets(t *testing.T) {
	o := Options{
		URL:      "https://me:hidden1@collector.example/in",
		Envelope: `{"api_key": "hidden2"`,
		Headers:  map[string]config.Secret{"X-Key": "hidden3\n"},
		Auth:     Auth{Scheme: "bearer", Secret: "hidden4\n"},
		Sign:     Sign{Secrets: []config.Secret{"hidden5"}},
	}
	err := o.Validate()
	if len(fieldsOf(err)) != 5 {
		t.Fatal(err)
	}
	if text := err.Error(); strings.Contains(text, "hidden") {
		t.Error(text)
	}
}

func TestAProgramThatCannotBeReadIsToldWithItsLine(t *testing.T) {
	o := Options{URL: "https://collector.example", Template: "{\n  id: $id,\n  type: :\n}"}
	if err := o.Validate(); err == nil || !strings.Contains(err.Error(), "at line 3 of the program") {
		t.Error(err)
	}
}

// The URL of many a webhook is all that it takes to call it.
func TestAURLThatIsWrongIsNotRepeated(t *testing.T) {
	for _, address := range []string{"hooks.example.com/services/T00/s3cr3t", "htps://host/x?key=s3cr3t", "https:/host?key=s3cr3t", "https://h/\x7f?key=s3cr3t"} {
		for _, o := range []Options{
			{URL: address},
			{URL: "https://h/", Auth: Auth{Scheme: schemeOAuth2, ClientID: "a", Secret: "b", TokenURL: address}},
		} {
			if err := o.Validate(); err == nil || strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v", err)
			}
		}
	}
}

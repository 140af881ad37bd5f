package webhook_test

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

var shippedText = sync.OnceValues(func() ([]byte, error) { return os.ReadFile("../sources.yaml") })

// shipped are the sources that are built in.
func shipped(t testing.TB, env map[string]string) *webhook.Sources {
	t.Helper()
	text, err := shippedText()
	if err != nil {
		t.Fatal(err)
	}
	sources, err := webhook.Parse(text, options(env))
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

func options(env map[string]string) webhook.Options {
	return webhook.Options{Env: func(name string) (string, bool) { v, ok := env[name]; return v, ok }}
}

func TestASourceWithoutASecretIsDisabledAndSaysWhatToSet(t *testing.T) {
	for _, source := range shipped(t, nil).All() {
		if want := "set " + strings.ToUpper(strings.ReplaceAll(source.Name(), "-", "_")) + "_WEBHOOK_SECRETS"; !strings.Contains(source.Disabled(), want) {
			t.Errorf("%s: %q, want %q", source.Name(), source.Disabled(), want)
		}
		if source.Verify(call("{}", signedAt, "X-Shopify-Hmac-Sha256", shopifySignature("", "{}"))) == nil {
			t.Errorf("%s takes what is signed with nothing", source.Name())
		}
	}
}

func TestTheDevSecretTakesThePlaceOfOneThatIsMissingOnly(t *testing.T) {
	o := options(map[string]string{"STRIPE_WEBHOOK_SECRETS": "s"})
	o.DevSecret = config.Secret("dev")
	text, err := shippedText()
	if err != nil {
		t.Fatal(err)
	}
	sources, err := webhook.Parse(text, o)
	if err != nil {
		t.Fatal(err)
	}
	if s := sources.Find("shopify"); !s.Dev() || s.Disabled() != "" || s.Verify(call("{}", signedAt, "X-Shopify-Hmac-Sha256", shopifySignature("dev", "{}"))) != nil {
		t.Error("shopify does not take it")
	}
	if s := sources.Find("stripe"); s.Dev() || s.Verify(call("{}", signedAt, "Stripe-Signature", stripeSignature("dev", "{}", signedAt))) == nil {
		t.Error("stripe takes it though it has its own")
	}
}

const minimal = "sources:\n  a:\n    auth: {scheme: token, header: X-Key, secret_env: A}\n    map: empty\n"

func TestAFileSaysWhatIsWrongWithIt(t *testing.T) {
	with := func(more string) string { return minimal + more }
	auth := func(text string) string { return "sources:\n  a:\n    auth: " + text + "\n    map: empty\n" }
	for _, c := range []struct{ name, text, want string }{
		{"an unknown key, with its line", with("    mapp: empty\n"), `[5:5] unknown field "mapp"`},
		{"an unknown key of auth", auth("{scheme: token, heder: X}"), `unknown field "heder"`},
		{"no YAML", "sources: [", "[1:"},
		{"a secret itself", auth("{scheme: token, header: X, secrets: [hunter2]}"), "sources.a.auth.secrets"},
		{"no secret", auth("{scheme: token, header: X}"), "sources.a.auth.secrets"},
		{"no scheme", auth("{secret_env: A}"), "sources.a.auth.scheme"},
		{"a scheme that there is not", auth("{scheme: none, secret_env: A}"), "sources.a.auth.scheme"},
		{"a name that is none", strings.Replace(minimal, "a:", "a b:", 1), "sources.a b"},
		{"a preset that there is not", with("    preset: etsy\n"), "sources.a.preset"},
		{"a program that is none, with its line", with("    kind: |\n      .body\n        | | .x\n"), "at line 2 of the program"},
		{"a function that there is not", with("    dedup: .body | sha256\n"), "sources.a.dedup"},
		{"kinds without kind", strings.Replace(minimal, "map: empty", "map: {b: empty}", 1), "sources.a.kind"},
		{"no map", strings.Replace(minimal, "    map: empty\n", "", 1), "sources.a.map"},
		{"an acknowledgement that is a failure", with("    ack: {status: 301}\n"), "sources.a.ack.status"},
		{"an end of the subscription", with("    ack: {bad_signature: 410}\n"), "sources.a.ack.bad_signature"},
		{"a reason that there is not", with("    refuse: {ugly: .body}\n"), "sources.a.refuse.ugly"},
		{"a reason that is no word", with("    ignore: {Not This: .body}\n"), "sources.a.ignore.Not This"},
		{"a handshake that posts", with("    handshake: [{method: POST}]\n"), "sources.a.handshake[0].method"},
		{"a handshake in HTML", with("    handshake: [{method: GET, query: c, type: text/html}]\n"), "sources.a.handshake[0].type"},
		{"a body that is not signed", auth(`{scheme: hmac, header: X, signed: "{timestamp}", timestamp_header: T, tolerance: 1s, secret_env: A}`), "sources.a.auth.signed"},
		{"a time that is not signed", auth(`{scheme: hmac, header: X, timestamp_header: T, tolerance: 1s, secret_env: A}`), "sources.a.auth.signed"},
		{"a time without tolerance", auth(`{scheme: hmac, header: X, signed: "{timestamp}{body}", timestamp_header: T, secret_env: A}`), "sources.a.auth.tolerance"},
		{"a tolerance without time", auth(`{scheme: hmac, header: X, tolerance: 1s, secret_env: A}`), "sources.a.auth.tolerance"},
		{"a digest without secret", auth(`{scheme: digest, header: X, secret_env: A}`), "sources.a.auth.signed"},
		{"a placeholder that there is not", auth(`{scheme: hmac, header: X, signed: "{body}{salt}", secret_env: A}`), "sources.a.auth.signed"},
		{"a subject that anybody can send", auth(`{scheme: mtls, header: X, subjects: [CN=a]}`), "sources.a.auth.and"},
		{"something wrong with the second proof", auth(`{scheme: mtls, subjects: [CN=a], and: {scheme: token, secret_env: A}}`), "sources.a.auth.and.header"},
		{"a file of secrets that is not there", auth(`{scheme: token, header: X, secrets: ["file:/no/such"]}`), "sources.a.auth.secrets"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := options(nil)
			o.ReadFile = os.ReadFile
			sources, err := webhook.Parse([]byte(c.text), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("got %v, %v; want %s", sources, err, c.want)
			}
		})
	}
	if _, err := webhook.Parse([]byte(minimal), options(nil)); err != nil {
		t.Errorf("the one that they are made from: %v", err)
	}
}

func TestEverythingWrongComesBackTogether(t *testing.T) {
	_, err := webhook.Parse([]byte("sources:\n  a: {auth: {scheme: x, secret_env: A}, map: empty}\n  b: {auth: {scheme: token, header: X, secret_env: A}, ack: {status: 99}, map: empty}\n"), options(nil))
	for _, want := range []string{"sources.a.auth.scheme", "sources.b.ack.status"} {
		if !strings.Contains(fmt.Sprint(err), want) {
			t.Errorf("%v says nothing about %s", err, want)
		}
	}
}

package ingest

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

func load(environ ...string) (Config, *config.Report, error) {
	return config.Load[Config](config.Options{
		Environ: append([]string{"KAFKA_BROKERS=localhost:9092"}, environ...), KnownSections: daemon.Sections,
	})
}

func TestConfigIsReadFromTheEnvironment(t *testing.T) {
	keys := filepath.Join(t.TempDir(), "keys.yaml")
	if err := os.WriteFile(keys, []byte("- {name: shop, key: s3cret}\n- {name: crm, key: 0ther, sources: [salesforce]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("t0p-s3cret\r\nold.t0p-s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, report, err := load("INGEST_KEYS_FILE="+keys, "BRAZE_CURRENTS_TOKENS_FILE="+tokens, "INGEST_RATE=1000/s", "INGEST_CORS_ORIGINS=https://a.example.com,https://b.example.com")
	if err != nil {
		t.Fatal(err)
	}
	reveal := cmp.Transformer("reveal", func(s config.Secret) string { return s.Reveal() })
	want := Options{
		Addr: ":8080", Keys: Keys{{Name: "shop", Key: "s3cret"}, {Name: "crm", Key: "0ther", Sources: []string{"salesforce"}}},
		Rate: quota.Rate{Count: 1000, Per: time.Second}, MaxBody: 5_000_000, MaxHeld: 256 << 20,
		DeliveryTimeout: 4 * time.Second, Linger: time.Millisecond, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, DrainPause: 500 * time.Millisecond,
		DedupEntries: 1_000_000, DedupWindow: 24 * time.Hour, CORSOrigins: []string{"https://a.example.com", "https://b.example.com"},
		CurrentsTokens: Tokens{"t0p-s3cret", "old.t0p-s3cret"}, CurrentsMaxBody: 20_000_000, CurrentsDedupEntries: 250_000,
	}
	if diff := cmp.Diff(want, c.Ingest, reveal); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	if text := string(report.YAML()); strings.Contains(text, "s3cret") {
		t.Errorf("the report shows a key:\n%s", text)
	}
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ name, environ, want string }{
		{"no keys", "INGEST_ADDR=:1", "INGEST_KEYS"},
		{"a key without a name", "INGEST_KEYS=:s3cret", "ingest.keys[0].name"},
		{"the same key twice", "INGEST_KEYS=a:s3cret,b:s3cret", "ingest.keys[1].key"},
		{"keys that cannot be read", "INGEST_KEYS=a:s3cret:c:d", "ingest.keys"},
		{"a token that no header can carry", "BRAZE_CURRENTS_TOKENS=good,my s3cret", "ingest.currents_tokens[1]"},
		{"a limit that a large event exceeds", "BRAZE_CURRENTS_MAX_BODY=500000", "ingest.currents_max_body"},
		{"an address without port", "INGEST_ADDR=localhost", "ingest.addr"},
		{"a rate that is none", "INGEST_RATE=fast", "ingest.rate"},
		{"an origin that is none", "INGEST_CORS_ORIGINS=shop.example.com", "ingest.cors_origins"},
	} {
		t.Run(c.name, func(t *testing.T) {
			environ := []string{c.environ}
			if c.name != "no keys" && !strings.HasPrefix(c.environ, "INGEST_KEYS") {
				environ = append(environ, "INGEST_KEYS=shop:k")
			}
			_, _, err := load(environ...)
			var problems config.Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got %v, want something about %s", err, c.want)
			}
		})
	}
}

func TestTheWellKnownKeyIsForLoopback(t *testing.T) {
	for addr, want := range map[string]bool{":8080": true, "0.0.0.0:8080": true, "10.0.0.7:80": true, "127.0.0.1:8080": false, "localhost:8080": false, "[::1]:8080": false} {
		o := Options{Addr: addr, Keys: Keys{{Name: "default", Key: "dev"}}}
		if got := o.opensToAll(); got != want {
			t.Errorf("%s: got %v", addr, got)
		}
	}
	if (Options{Addr: ":8080", Keys: Keys{{Name: "shop", Key: "s3cret"}}}).opensToAll() {
		t.Error("another key was taken for it")
	}
}

func TestREADMEHasTheConfigurationTable(t *testing.T) {
	table := config.MarkdownTable[Config]()
	if os.Getenv("GOLDEN") == "write" {
		if err := config.UpdateMarkdown("README.md", table); err != nil {
			t.Fatal(err)
		}
	}
	if err := config.CheckMarkdown("README.md", table); err != nil {
		t.Error(err)
	}
}

// TestREADMECommandsWork runs every curl of the README, of BRAZE.md and of CRM.md against a front door.
func TestREADMECommandsWork(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("CI must have curl: %v", err)
		}
		t.Skipf("NOT RUN, NEEDS CURL: %v", err)
	}
	var pages string
	for _, page := range []string{"README.md", "BRAZE.md", "CRM.md"} {
		text, err := os.ReadFile(page) //nolint:gosec // of this folder
		if err != nil {
			t.Fatal(err)
		}
		pages += string(text)
	}
	h := openHouse(t, kafkaAt(startBroker(t, embedded.Config{}).Addr()), func(o *Options) { o.Keys = Keys{{Name: "default", Key: "dev"}} })
	ran := 0
	for _, block := range strings.Split(pages, "```sh\n")[1:] {
		command, _, _ := strings.Cut(block, "```")
		if !strings.HasPrefix(command, "curl ") {
			continue
		}
		ran++
		command = strings.ReplaceAll(command, "http://localhost:8080", h.url)
		out, err := exec.CommandContext(t.Context(), "sh", "-c", strings.Replace(command, "curl ", "curl -sS --fail-with-body ", 1)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"accepted":1`) && !strings.Contains(string(out), `{"status":"accepted"`) && string(out) != `{"success":true}` {
			t.Errorf("%s\n%v\n%s", command, err, out)
		}
	}
	if ran != 9 {
		t.Errorf("%d commands were found", ran)
	}
	commerce := h.read(t, schema.CommerceEvents)
	if len(commerce) != 1 || decode(t, schema.CommerceEvents, commerce[0].Value)["order_id"] != "A-10077" {
		t.Errorf("of commerce there are %d records", len(commerce))
	}
	cases := h.read(t, schema.SupportCases)
	if len(cases) != 1 || decode(t, schema.SupportCases, cases[0].Value)["source"] != "desk" {
		t.Errorf("of cases there are %d records", len(cases))
	}
	engagements, actions := h.read(t, schema.BrazeEngagements), h.read(t, schema.BrazeActions)
	if len(engagements) != 1 || len(actions) != 1 {
		t.Errorf("of engagements there are %d records, of actions %d", len(engagements), len(actions))
	}
	changes := h.read(t, schema.CRMChanges)
	if len(changes) != 1 || decode(t, schema.CRMChanges, changes[0].Value)["system"] != "loyalty" {
		t.Errorf("of changes in a CRM there are %d records", len(changes))
	}
	checkLaw(t, h.process.Metrics, 11, len(h.read(t, toEvents))+len(h.read(t, toProfiles))+len(commerce)+len(cases)+len(engagements)+len(actions)+len(changes))
}

package pipeline_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// module is what every package of ours begins with.
const module = "github.com/sluicehq/sluice/"

// arrows says which of our packages each package may import. What is not named here does not exist:
// a new package, or a new arrow, is a decision that belongs into this table and into the drawing in
// pkg/README.md.
var arrows = map[string]string{
	"schemas": "",

	// The vocabulary imports nothing.
	"pkg/event":   "",
	"pkg/outcome": "",
	"pkg/ledger":  "",
	"pkg/retry":   "",
	"pkg/quota":   "",
	"pkg/config":  "",

	// Files that people write by hand.
	"pkg/yamlfile": "pkg/config",

	// JSON for programs in jq.
	"pkg/jsontree": "",

	// The contract: what stands on a topic.
	"pkg/schema":            "schemas",
	"pkg/avro":              "schemas pkg/schema pkg/event pkg/registry",
	"pkg/receipt":           "pkg/avro pkg/outcome",
	"pkg/registry":          "pkg/config pkg/retry",
	"pkg/registry/embedded": "pkg/registry",

	// Writes to CRMs, and what became of them.
	"pkg/crm":                "pkg/avro pkg/event pkg/outcome",
	"pkg/crm/salesforcefake": "pkg/config",
	"pkg/crm/hubspotfake":    "",
	"pkg/crm/loyaltyfake":    "",

	// What Braze reports back.
	"pkg/currents":        "pkg/event",
	"pkg/currents/sample": "pkg/currents",

	// What is said of collections of content.
	"pkg/content": "pkg/config pkg/braze",

	// Transport.
	"pkg/stream":            "pkg/ledger pkg/config",
	"pkg/stream/embedded":   "",
	"pkg/stream/streamtest": "pkg/stream pkg/ledger",
	"pkg/deadletter":        "pkg/stream pkg/avro pkg/schema",
	"pkg/topics":            "pkg/stream pkg/registry pkg/schema pkg/retry",

	// What is known of each key.
	"pkg/table":           "pkg/stream",
	"pkg/table/tabletest": "pkg/stream pkg/table",

	// Destinations.
	"pkg/braze":                    "pkg/config pkg/quota pkg/braze/internal/jsonscan pkg/braze/internal/ecommerce",
	"pkg/braze/brazefake":          "pkg/braze pkg/quota pkg/braze/internal/jsonscan pkg/braze/internal/ecommerce pkg/braze/brazefake/outgoing pkg/currents pkg/currents/sample",
	"pkg/braze/brazefake/outgoing": "pkg/retry",
	"pkg/braze/internal/ecommerce": "pkg/braze/internal/jsonscan",
	"pkg/braze/internal/jsonscan":  "",

	// What every process does, and what tests need.
	"pkg/daemon":                  "pkg/config",
	"pkg/kafkatest":               "",
	"pkg/pgtest":                  "",
	"pkg/kafkatest/cmd/withkafka": "pkg/kafkatest",
}

// users are the packages that may know a library; everyone else speaks to them.
var users = map[string]string{
	"github.com/twmb/franz-go/pkg/kgo":   "pkg/stream pkg/kafkatest",
	"github.com/twmb/franz-go/pkg/kadm":  "pkg/stream pkg/kafkatest",
	"github.com/twmb/franz-go/pkg/kfake": "pkg/stream/embedded",
	"github.com/twmb/franz-go/pkg/sr":    "pkg/registry",
	"github.com/linkedin/goavro/v2":      "pkg/avro pkg/registry pkg/registry/embedded services/pipeline/simulate",
	"github.com/segmentio/kafka-go":      "services/pipeline/simulate",
	"github.com/labstack/echo/v4":        "services/ingest services/content-cacher",
	"github.com/cockroachdb/pebble/v2":   "pkg/table services/content-cacher/larder",
	"github.com/jackc/pgx/v5":            "pkg/pgtest services/currents-fanout/pgsink",
	"github.com/parquet-go/parquet-go":   "services/currents-fanout/filesink",
	"gocloud.dev/blob":                   "services/currents-fanout/filesink",
	"github.com/itchyny/gojq":            "services/ingest/webhook services/braze-sender/routes services/currents-fanout/httpsink services/crm-writeback/rules services/crm-writeback/target/httptarget",
}

// imports are the packages that a package of ours needs outside its tests.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "work").Output()
	if err != nil {
		t.Fatalf("asking go list: %v", err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		all[strings.TrimPrefix(words[0], module)] = words[1:]
	}
	return all
}

func TestEveryArrowIsInTheTable(t *testing.T) {
	all := imports(t)
	if len(all) < len(arrows) {
		t.Fatalf("go list knows %d packages, the table %d", len(all), len(arrows))
	}
	for pkg, list := range all {
		for _, imported := range list {
			to, ours := strings.CutPrefix(imported, module)
			if !ours {
				if allowed, guarded := users[imported]; guarded && !slices.Contains(strings.Fields(allowed), pkg) {
					t.Errorf("%s imports %s, which only %s may", pkg, imported, allowed)
				}
				continue
			}
			switch {
			case strings.HasPrefix(pkg, "pkg/") || pkg == "schemas":
				allowed, known := arrows[pkg]
				if !known {
					t.Errorf("%s is not in the table", pkg)
				} else if !slices.Contains(strings.Fields(allowed), to) {
					t.Errorf("%s imports %s: not an arrow of the table", pkg, to)
				}
			case strings.HasPrefix(pkg, "services/pipeline"): // puts everything together
			default:
				if own := strings.Join(strings.SplitN(pkg, "/", 3)[:2], "/"); strings.HasPrefix(to, "services/") && !strings.HasPrefix(to, own) {
					t.Errorf("%s imports %s: services share nothing but topics", pkg, to)
				}
			}
		}
	}
}

func TestTheTableNamesOnlyWhatExists(t *testing.T) {
	all := imports(t)
	for pkg := range arrows {
		if _, ok := all[pkg]; !ok {
			t.Errorf("%s is in the table and nowhere else", pkg)
		}
	}
}

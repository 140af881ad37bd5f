package ingest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// exampleEnv is what the examples of polled sources want to be set.
var exampleEnv = map[string]string{
	"CRM_HOST": "crm.example.com", "CRM_CLIENT_ID": "us", "CRM_CLIENT_SECRET": "s",
	"PRODUCT_FEED_URL": "https://shop.example.com/feed.xml",
	"CONTENTFUL_SPACE": "demospace01", "CONTENTFUL_DELIVERY_TOKEN": "t",
	"ZENDESK_SUBDOMAIN": "acme", "ZENDESK_API_TOKEN": "ops@example.com/token:t",
}

func exampleSource(t *testing.T, path string, env map[string]string) *webhook.Source {
	t.Helper()
	sources, err := LoadSources(path, func(name string) (string, bool) { v, ok := env[name]; return v, ok }, "")
	if err != nil {
		t.Fatal(err)
	}
	return sources.All()[0]
}

func TestExamplesOfPolledSourcesBecomeRecords(t *testing.T) {
	files, err := filepath.Glob("poll/examples/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(filepath.Base(path), ".yaml")
		t.Run(name, func(t *testing.T) {
			if p := exampleSource(t, path, nil).Polling(); !strings.Contains(p.Disabled(), "set ") {
				t.Errorf("without credentials it is asked all the same: %q", p.Disabled())
			}
			source := exampleSource(t, path, exampleEnv)
			if why := source.Polling().Disabled(); why != "" {
				t.Fatal(why)
			}
			ending := ".json"
			if source.Polling().IsFeed() {
				ending = "." + source.Polling().Format
			}
			page, err := os.ReadFile(strings.TrimSuffix(path, ".yaml") + ending)
			if err != nil {
				t.Fatal(err)
			}
			sample, err := webhook.ReadSample(page, time.Date(2026, 3, 6, 8, 0, 0, 0, time.UTC))
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(Try(t.Context(), source, sample), json.Deterministic(true), jsontext.WithIndent("  "))
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("polls", name+".json"), append(text, '\n'))
		})
	}
}

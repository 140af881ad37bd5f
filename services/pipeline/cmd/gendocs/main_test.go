package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/schema"
)

// shelf is a repository for tests: every page that gendocs writes to, without its contents.
func shelf(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, p := range pages() {
		path := filepath.Join(root, filepath.FromSlash(p.path))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("# A service\n\n<!-- config:begin -->\n<!-- config:end -->\n\nThe end.\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.MkdirAll(filepath.Join(root, "schemas"), 0o700); err != nil {
		t.Fatal(err)
	}
	return root
}

func TestCheckFailsUntilPagesAreGenerated(t *testing.T) {
	t.Parallel()
	root := shelf(t)
	err := generate(root, true)
	if err == nil {
		t.Fatal("pages without contents pass the check")
	}
	for _, p := range pages() {
		if !strings.Contains(err.Error(), filepath.FromSlash(p.path)) {
			t.Errorf("the check does not name %s: %v", p.path, err)
		}
	}
	for _, page := range []string{topicsPath, engagementsPath} {
		if !strings.Contains(err.Error(), page) {
			t.Errorf("the check does not name %s: %v", page, err)
		}
	}
	if err := generate(root, false); err != nil {
		t.Fatal(err)
	}
	if err := generate(root, true); err != nil {
		t.Errorf("just generated, and yet: %v", err)
	}
	page, err := os.ReadFile(filepath.Join(root, "services", "ingest", "README.md"))
	if err != nil || !strings.Contains(string(page), "`INGEST_ADDR`") || !strings.HasSuffix(string(page), "The end.\n") {
		t.Errorf("the page is %s, %v", page, err)
	}
}

func TestTheReferenceNamesEveryTopicAndField(t *testing.T) {
	t.Parallel()
	page, err := topicsReference()
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range schema.Tables() {
		root, err := parse(topic)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page, "\n## "+topic.Name+"\n") {
			t.Errorf("%s has no section", topic.Name)
		}
		if keyOf(root.Doc) == "" {
			t.Errorf("%s: the record's doc does not say what the key is", topic.Name)
		}
		for _, f := range root.Fields {
			if !strings.Contains(page, "| `"+f.Name+"` |") {
				t.Errorf("%s.%s has no row", topic.Name, f.Name)
			}
		}
	}
	if !strings.Contains(page, "`subscriptions[].group_id`") {
		t.Error("fields of records inside lists have no rows")
	}
}

func TestTheReferenceNamesEveryTypeOfEngagement(t *testing.T) {
	t.Parallel()
	page := engagementsReference()
	for _, typ := range currents.Types() {
		_, section, ok := strings.Cut(page, "\n### "+typ.Name+"\n")
		if !ok {
			t.Errorf("%s has no section", typ.Name)
			continue
		}
		section, _, _ = strings.Cut(section, "\n### ")
		for i := range typ.Fields {
			if f := &typ.Fields[i]; !strings.Contains(section, "| `"+f.In+"."+f.Name+"` |") {
				t.Errorf("%s: %s has no row", typ.Name, f.Name)
			}
		}
		if !strings.Contains(section, "WHERE event_type = '"+typ.Name+"';") {
			t.Errorf("%s has no view", typ.Name)
		}
	}
}

func TestAViewTakesAnEventApart(t *testing.T) {
	t.Parallel()
	typ, ok := currents.Lookup("users.behaviors.Purchase")
	if !ok {
		t.Fatal("no purchases")
	}
	got := view(&typ)
	for _, want := range []string{
		"CREATE VIEW braze.users_behaviors_purchase AS\nSELECT event_id, user_id, external_id, braze_id,", " device_id,",
		"CAST(event->'properties'->>'price' AS double precision) AS price,", "event->'properties'->'purchase_properties' AS purchase_properties\n",
		"event->'properties'->>'currency' AS currency", "CAST(event->'properties'->>'ad_tracking_enabled' AS boolean) AS ad_tracking_enabled",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the view lacks %s\n%s", want, got)
		}
	}
	if strings.Contains(got, "external_user_id") {
		t.Errorf("the user's id is there twice\n%s", got)
	}
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	if !strings.Contains(err.Error(), topicsPath) {
		t.Errorf("the check does not name %s: %v", topicsPath, err)
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

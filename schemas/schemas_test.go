package schemas_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/schemas"
)

// each runs a test for every record type there is; none at all would be a test that cannot fail.
func each(t *testing.T, f func(t *testing.T, recordType string, versions []string)) {
	t.Helper()
	types := schemas.Types()
	if len(types) < 4 {
		t.Fatalf("record types: %v", types)
	}
	for _, rt := range types {
		versions, err := schemas.Versions(rt)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(rt, func(t *testing.T) { f(t, rt, versions) })
	}
}

func TestBothCodecsParseEveryVersion(t *testing.T) {
	each(t, func(t *testing.T, _ string, versions []string) {
		for i, text := range versions {
			if _, err := goavro.NewCodec(text); err != nil {
				t.Errorf("v%d, goavro: %v", i+1, err)
			}
			if _, err := avro.Parse(text); err != nil {
				t.Errorf("v%d, twmb/avro: %v", i+1, err)
			}
		}
	})
}

// TestEachVersionReadsItsPredecessorsAndTheyIt is what lets producers and readers move on their own
// time, in either order.
func TestEachVersionReadsItsPredecessorsAndTheyIt(t *testing.T) {
	each(t, func(t *testing.T, _ string, versions []string) {
		for newer := range versions {
			for older := range newer {
				n, o := avro.MustParse(versions[newer]), avro.MustParse(versions[older])
				if err := avro.CheckCompatibility(o, n); err != nil {
					t.Errorf("v%d cannot read v%d: %v", newer+1, older+1, err)
				}
				if err := avro.CheckCompatibility(n, o); err != nil {
					t.Errorf("v%d cannot read v%d: %v", older+1, newer+1, err)
				}
			}
		}
	})
}

// TestReleasedVersionsAreNeverEdited compares with fingerprints that were written down at release.
// A new version adds a line; a changed line means that a released version was edited.
func TestReleasedVersionsAreNeverEdited(t *testing.T) {
	var lines []string
	each(t, func(_ *testing.T, recordType string, versions []string) {
		for i, text := range versions {
			sum := sha256.Sum256([]byte(text))
			lines = append(lines, recordType+" v"+string(rune('1'+i))+" "+hex.EncodeToString(sum[:]))
		}
	})
	got := strings.Join(lines, "\n") + "\n"
	const golden = "testdata/fingerprints.txt"
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-released +now)\n%s", diff)
	}
}

func TestEveryRecordAndFieldIsExplained(t *testing.T) {
	var walk func(t *testing.T, path string, n avro.SchemaNode)
	walk = func(t *testing.T, path string, n avro.SchemaNode) {
		if n.Type == "record" && strings.TrimSpace(n.Doc) == "" {
			t.Errorf("%s: the record has no doc", path)
		}
		for _, f := range n.Fields {
			if strings.TrimSpace(f.Doc) == "" || strings.Contains(f.Doc, "\n") {
				t.Errorf("%s.%s: the doc is one line, and there", path, f.Name)
			}
			walk(t, path+"."+f.Name, f.Type)
		}
		if n.Items != nil {
			walk(t, path+"[]", *n.Items)
		}
		for _, b := range n.Branches {
			walk(t, path, b)
		}
	}
	each(t, func(t *testing.T, recordType string, versions []string) {
		for _, text := range versions {
			walk(t, recordType, *avro.MustParse(text).Root())
		}
	})
}

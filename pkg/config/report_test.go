package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// golden compares with a file under testdata, or writes it when GOLDEN=write is in the environment.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Error(diff)
	}
}

func TestWhatIsPrinted(t *testing.T) {
	t.Chdir("testdata") // so that origins name the file alike everywhere
	_, report, err := Load[testConfig](Options{File: "sluice.yaml", Environ: append([]string{
		"BRAZE_LINGER=1s", "INGEST_KEYS=web=web-secret,app=app-secret",
	}, complete...)})
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir("..")
	var table bytes.Buffer
	if err := report.Table(&table); err != nil {
		t.Fatal(err)
	}
	json, err := report.JSON()
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "report.txt", table.Bytes())
	golden(t, "report.json", json)
	golden(t, "report.yaml", report.YAML())
	golden(t, "schema.json", JSONSchema[testConfig]())
	golden(t, "table.md", []byte(MarkdownTable[testConfig]()))
}

func TestThePrintedYAMLLoadsToTheSameValues(t *testing.T) {
	first, report, err := Load[testConfig](Options{Environ: append([]string{
		"BRAZE_LINGER=1s", "KAFKA_BROKERS=a:1,b:2", "INGEST_ADDR=\"quoted\"\t# \\ ünï",
	}, complete...)})
	if err != nil {
		t.Fatal(err)
	}
	again, _, err := Load[testConfig](Options{
		File: write(t, "printed.yaml", string(report.YAML())), Environ: []string{"BRAZE_API_KEY=0123-secret"},
	})
	if err != nil {
		t.Fatalf("%v\n%s", err, report.YAML())
	}
	if diff := cmp.Diff(first, again, cmp.AllowUnexported(rate{}, testConfig{}, common{})); diff != "" {
		t.Error(diff)
	}
}

func TestTheTableInAReadmeIsKept(t *testing.T) {
	table := MarkdownTable[common]()
	path := write(t, "README.md", "# Title\n\n<!-- config:begin -->\nold\n<!-- config:end -->\n\ntail\n")
	if err := CheckMarkdown(path, table); err == nil || !strings.Contains(err.Error(), "make generate") {
		t.Errorf("an old table passed: %v", err)
	}
	for range 2 { // the second time nothing changes
		if err := UpdateMarkdown(path, table); err != nil {
			t.Fatal(err)
		}
		if err := CheckMarkdown(path, table); err != nil {
			t.Error(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := "# Title\n\n<!-- config:begin -->\n\n" + table + "\n<!-- config:end -->\n\ntail\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if err := UpdateMarkdown(write(t, "README.md", "no lines"), table); err == nil {
		t.Error("a file without the lines was accepted")
	}
}

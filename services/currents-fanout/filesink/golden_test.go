package filesink

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"
	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// golden compares with a file under testdata, or writes it when GOLDEN=write is in the environment.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if os.Getenv("GOLDEN") == "write" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s is different; rewrite it with GOLDEN=write\n%s", path, cmp.Diff(string(want), string(got)))
	}
}

// fixed is a few events that never change.
func fixed(t *testing.T) []*sink.Event {
	return []*sink.Event{
		engagement(t, `{"event_type":"users.messages.email.Click","id":"e-1","time":1788264000,"user":{"user_id":"b1","external_user_id":"crm-1"},"properties":{"campaign_id":"c1","url":"https://shop.example/","is_amp":true,"suspected_bot_click_reason":["ua",null]}}`, 0),
		engagement(t, `{"event_type":"users.behaviors.Purchase","id":"e-2","time":1788264001,"user":{"user_id":"b2"},"properties":{"product_id":"sku-7","price":19.9,"currency":"EUR"}}`, 1),
		engagement(t, `{"event_type":"users.messages.fax.Send","id":"e-3","time":1788264002,"user":{},"properties":{"pages":3}}`, 2),
		anAction(t, 3),
	}
}

// TestWhatReadersFindIsGolden holds the intent, the manifest and an uncompressed Avro file to their bytes.
// A Parquet file's follow from its library's version too, which is why its schema is held instead.
func TestWhatReadersFindIsGolden(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir, Format: formatAvro, Compression: compressNone})
	mustWrite(t, s, stretch(1200, 1204), fixed(t))
	for name, data := range tree(t, dir) {
		golden(t, filepath.Join("stretch", name), []byte(data))
	}
}

func TestColumnsAreGolden(t *testing.T) {
	ts := tablesForTest(t)
	for _, name := range []string{click, purchase, "unknown", "action"} {
		table, err := ts.of(name)
		if name == "action" {
			table = ts.action
		}
		if err != nil {
			t.Fatal(err)
		}
		golden(t, filepath.Join("columns", name+".parquet.txt"), []byte(table.parquet.String()+"\n"))
		golden(t, filepath.Join("columns", name+".avsc"), []byte(table.avro.String()+"\n"))
	}
}

// TestTheSameEventsMakeTheSameBytes encodes the same file again and again, by encoders that have done
// something else in between.
func TestTheSameEventsMakeTheSameBytes(t *testing.T) {
	var events []*sink.Event
	for n := range 700 { // more than are given to the library at once
		events = append(events, sampled(t, click, n))
	}
	other := sampled(t, purchase, 700)
	ts := tablesForTest(t)
	for _, format := range []string{formatParquet, formatAvro} {
		for _, compression := range []string{compressZstd, compressSnappy, compressNone} {
			var want []byte
			for range 3 {
				o := Options{Format: format, Compression: compression, RowGroupRows: 600}.withDefaults()
				enc, err := newEncoder(&o)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					got := encodedBy(t, enc, ts, click, events)
					if want == nil {
						want = got
					}
					if !bytes.Equal(want, got) {
						t.Fatalf("%s, %s: other bytes", format, compression)
					}
					encodedBy(t, enc, ts, purchase, []*sink.Event{other})
				}
			}
			if format == formatParquet {
				f, err := parquet.OpenFile(bytes.NewReader(want), int64(len(want)))
				if err != nil || len(f.RowGroups()) != 2 {
					t.Errorf("row groups: %v %v", f, err)
				}
			}
		}
	}
}

func encodedBy(t *testing.T, enc *encoder, ts *tables, typeName string, events []*sink.Event) []byte {
	t.Helper()
	table, err := ts.of(typeName)
	if err != nil {
		t.Fatal(err)
	}
	p := piece{path: typeName, kind: typeName, table: table}
	for i := range events {
		p.events = append(p.events, i)
	}
	done, err := enc.encode(&p, events)
	if err != nil {
		t.Fatal(err)
	}
	return done.data
}

// TestGoavroReadsEveryType reads with the library that nothing here writes with, which knows no zstd.
func TestGoavroReadsEveryType(t *testing.T) {
	ts := tablesForTest(t)
	for _, compression := range []string{compressSnappy, compressNone} {
		for _, typ := range currents.Types() {
			var events []*sink.Event
			for n := range 20 {
				events = append(events, sampled(t, typ.Name, n))
			}
			o := Options{Format: formatAvro, Compression: compression}.withDefaults()
			enc, err := newEncoder(&o)
			if err != nil {
				t.Fatal(err)
			}
			data := encodedBy(t, enc, ts, typ.Name, events)
			r, err := goavro.NewOCFReader(bytes.NewReader(data))
			if err != nil {
				t.Fatalf("%s: %v", typ.Name, err)
			}
			theirs := avroRows(t, data)
			n := 0
			for ; r.Scan(); n++ {
				row, err := r.Read()
				if err != nil {
					t.Fatalf("%s: %v", typ.Name, err)
				}
				m := row.(map[string]any)
				if m["event_id"] != events[n].ID || m[eventJSON] != string(events[n].JSON) {
					t.Errorf("%s: %v", typ.Name, m["event_id"])
				}
				for name, v := range m {
					if branch, ok := v.(map[string]any); ok {
						for _, inner := range branch {
							v = inner
						}
					}
					if list, ok := v.([]any); ok {
						for i, e := range list {
							if branch, ok := e.(map[string]any); ok {
								list[i] = branch["string"]
							}
						}
					}
					if got, want := fmt.Sprint(v), fmt.Sprint(theirs[n][name]); got != want {
						t.Errorf("%s: %s is %s, and %s to the other library", typ.Name, name, got, want)
					}
				}
			}
			if err := r.Err(); err != nil || n != len(events) {
				t.Errorf("%s: %d rows, %v", typ.Name, n, err)
			}
		}
	}
}

func TestOptionsSayWhatIsWrong(t *testing.T) {
	good := Options{URL: "s3://lake?region=eu-central-1"}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, wrong string
		change      func(*Options)
	}{
		{"no URL", "url", func(o *Options) { o.URL = "" }},
		{"a scheme that there is not", "url", func(o *Options) { o.URL = "ftp://x/y" }},
		{"memory, where files would be gone at the end", "url", func(o *Options) { o.URL = "mem://" }},
		{"two slashes for a file", "url", func(o *Options) { o.URL = "file://srv/data" }},
		{"a path within a bucket", "url", func(o *Options) { o.URL = "s3://lake/braze" }},
		{"a password in the URL", "url", func(o *Options) { o.URL = "s3://key:secret@lake" }},
		{"a prefix that climbs", "prefix", func(o *Options) { o.Prefix = "a/../b" }},
		{"a prefix that looks like a partition", "prefix", func(o *Options) { o.Prefix = "year=2026" }},
		{"a prefix with a glob", "prefix", func(o *Options) { o.Prefix = "a*" }},
		{"two slashes in a prefix", "prefix", func(o *Options) { o.Prefix = "a//b" }},
		{"a format that there is not", "format", func(o *Options) { o.Format = "orc" }},
		{"a compression that there is not", "compression", func(o *Options) { o.Compression = "brotli" }},
		{"a date that there is not", "date", func(o *Options) { o.Date = "sent" }},
		{"no rows", "max_rows", func(o *Options) { o.MaxRows = -1 }},
		{"too large row groups", "row_group_rows", func(o *Options) { o.RowGroupRows = 1 << 30 }},
		{"too many uploads", "uploads", func(o *Options) { o.Uploads = 65 }},
		{"no time", "upload_timeout", func(o *Options) { o.UploadTimeout = 1 }},
	} {
		o := good
		c.change(&o)
		err := o.Validate()
		if err == nil || !strings.HasPrefix(err.Error(), c.wrong) {
			t.Errorf("%s: %v", c.name, err)
		}
		if _, err := Open(t.Context(), o, sink.Deps{}); err == nil {
			t.Errorf("%s: opened", c.name)
		}
	}
	if err := (&Options{}).Validate(); err == nil {
		t.Error("nothing at all was taken")
	}
	for _, url := range []string{"file:///var/lib/lake", "gs://lake", "azblob://lake?storage_account=acme", "file://./lake"} {
		o := Options{URL: url, Prefix: "/braze/engagements/"}
		if err := o.Validate(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestTheDocumentHasEveryOption(t *testing.T) {
	doc, err := os.ReadFile("../FILES.md")
	if err != nil {
		t.Fatal(err)
	}
	defaults := Options{}.withDefaults()
	for _, f := range config.Fields[Options]() {
		row := "| `" + f.Path + "` |"
		_, rest, ok := strings.Cut(string(doc), row)
		if !ok {
			t.Errorf("no row %s", row)
			continue
		}
		if cell, _, _ := strings.Cut(rest, "|"); f.Default != "" && strings.Trim(cell, " `") != f.Default {
			t.Errorf("%s: the document says %s, and the tag %s", f.Path, cell, f.Default)
		}
	}
	// And the tags, which the fan-out reads, say what withDefaults does.
	for _, f := range config.Fields[Options]() {
		got := ""
		switch f.Path {
		case "format":
			got = defaults.Format
		case "compression":
			got = defaults.Compression
		case "date":
			got = defaults.Date
		case "max_rows":
			got = fmt.Sprint(defaults.MaxRows)
		case "row_group_rows":
			got = fmt.Sprint(defaults.RowGroupRows)
		case "uploads":
			got = fmt.Sprint(defaults.Uploads)
		case "upload_timeout":
			got = strings.TrimSuffix(defaults.UploadTimeout.String(), "0s")
		}
		if got != f.Default {
			t.Errorf("%s: %s, and the tag says %s", f.Path, got, f.Default)
		}
	}
}

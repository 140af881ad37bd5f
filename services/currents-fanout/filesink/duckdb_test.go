//go:build cgo && !race

package filesink

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // an engine that nobody here wrote
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// duck is a DuckDB that asks about files.
type duck struct {
	t  *testing.T
	db *sql.DB
}

func newDuck(t *testing.T) duck {
	t.Helper()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return duck{t, db}
}

// ask returns rows, their values as text.
func (d duck) ask(query string, args ...any) (answer [][]string) {
	d.t.Helper()
	rows, err := d.db.QueryContext(d.t.Context(), fmt.Sprintf(query, args...))
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		d.t.Fatal(err)
	}
	for rows.Next() {
		values, into := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			d.t.Fatal(err)
		}
		text := make([]string, len(names))
		for i, v := range values {
			text[i] = fmt.Sprint(v)
		}
		answer = append(answer, text)
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return answer
}

func TestDuckDBReadsEveryTypeOfTheCatalogue(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir})
	var events []*sink.Event
	types := currents.Types()
	for _, typ := range types {
		for range 3 {
			events = append(events, sampled(t, typ.Name, len(events)))
		}
	}
	events = append(events, anAction(t, len(events)))
	mustWrite(t, s, stretch(0, len(events)), events)

	d := newDuck(t)
	all := filepath.Join(dir, "event_type=*/date=*/*.parquet")
	got := d.ask(`SELECT event_type, type, count(*), count(DISTINCT event_id), date::VARCHAR FROM read_parquet('%s', union_by_name=true)
		GROUP BY ALL ORDER BY ALL`, all)
	var want [][]string
	want = append(want, []string{"action.form", "<nil>", "1", "1", "2026-09-01"})
	for _, typ := range types {
		want = append(want, []string{typ.Name, typ.Name, "3", "3", "2026-09-01"})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestDuckDBSeesTheRightTypes(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir})
	events := []*sink.Event{sampled(t, click, 0), sampled(t, purchase, 1), anAction(t, 2)}
	mustWrite(t, s, stretch(0, 3), events)
	d := newDuck(t)
	for typeName, want := range map[string]map[string]string{
		click: {
			"event_id": "VARCHAR", "occurred_at": "TIMESTAMP WITH TIME ZONE", "received_at": "TIMESTAMP WITH TIME ZONE",
			"is_amp": "BOOLEAN", "suspected_bot_click_reason": "VARCHAR[]", "event_json": "VARCHAR", "event_type": "VARCHAR", "date": "DATE",
		},
		purchase:      {"price": "DOUBLE", "product_id": "VARCHAR", "ad_tracking_enabled": "BOOLEAN"},
		"action.form": {"payload": "BLOB", "payload_json": "VARCHAR", "occurred_at": "TIMESTAMP WITH TIME ZONE"},
	} {
		types := map[string]string{}
		for _, row := range d.ask(`DESCRIBE SELECT * FROM read_parquet('%s')`, filepath.Join(dir, "event_type="+typeName, "*/*.parquet")) {
			types[row[0]] = row[1]
		}
		for column, kind := range want {
			if types[column] != kind {
				t.Errorf("%s: %s is %q, want %s", typeName, column, types[column], kind)
			}
		}
	}
}

func TestDuckDBReadsHostileTypesAsTheyAre(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir, Date: dateOccurred})
	hostile := []string{"../../etc", "a/b=c", "50%", "grüße", "", "a b*?[x]", "__HIVE_DEFAULT_PARTITION__", "..", "x\x00y"}
	var events []*sink.Event
	for n, name := range hostile {
		e := sampled(t, click, n)
		e.Type, e.Engagement.Type = name, name
		events = append(events, e)
	}
	mustWrite(t, s, stretch(0, len(events)), events)
	got := newDuck(t).ask(`SELECT type, count(*) FROM read_parquet('%s') GROUP BY ALL`, filepath.Join(dir, "event_type=*/date=*/*.parquet"))
	seen := map[string]bool{}
	for _, row := range got {
		seen[row[0]] = row[1] == "1"
	}
	for _, name := range hostile {
		if !seen[name] {
			t.Errorf("%q is not there: %v", name, got)
		}
	}
}

func TestDuckDBReadsTheManifest(t *testing.T) {
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir, Prefix: "lake"})
	mustWrite(t, s, stretch(0, 10), mixed(t, 0, 10))
	mustWrite(t, s, stretch(10, 15), mixed(t, 10, 5))
	d := newDuck(t)
	got := d.ask(`SELECT "first", "end", "rows", sum(f.rows)::BIGINT, count(*) FROM read_json('%s'), UNNEST(files) AS u(f) GROUP BY ALL ORDER BY ALL`,
		filepath.Join(dir, "lake/_manifest/*.json"))
	want := [][]string{{"0", "10", "10", "10", "4"}, {"10", "15", "5", "5", "4"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestTheQueriesOfTheDocumentWork runs every query of FILES.md over files of ours.
func TestTheQueriesOfTheDocumentWork(t *testing.T) {
	doc, err := os.ReadFile("../FILES.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := openFiles(t, Options{URL: "file://" + dir})
	mustWrite(t, s, stretch(0, 20), mixed(t, 0, 20))
	d := newDuck(t)
	queries := 0
	for i, part := range strings.Split(string(doc), "```") {
		query, ok := strings.CutPrefix(part, "sql\n")
		if i%2 == 0 || !ok {
			continue
		}
		queries++
		if got := d.ask("%s", strings.ReplaceAll(query, "/data/lake", dir)); len(got) == 0 {
			t.Errorf("nothing is found by %s", query)
		}
	}
	if queries < 4 {
		t.Errorf("%d queries", queries)
	}
}

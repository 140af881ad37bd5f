package routes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
)

// Each section of testdata/mistakes.txt is a file with something wrong in it; what is said of it, line
// by line, is in testdata/mistakes.golden.
func TestMistakesAreNamedWithTheirLineAndWhatIsAllowed(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "mistakes.txt"))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for section := range strings.SplitSeq(string(text), "=== ") {
		if section == "" {
			continue
		}
		title, body, _ := strings.Cut(section, "\n")
		_, err := Parse("f.yaml", []byte(body))
		if err == nil {
			t.Errorf("%s: nothing is found wrong", title)
			continue
		}
		var problem config.Problem
		if !errors.As(err, &problem) {
			t.Errorf("%s: the error is no config.Problem", title)
		}
		got.WriteString("=== " + title + "\n" + err.Error() + "\n")
	}
	golden(t, "mistakes.golden", []byte(got.String()))
}

func TestExamples(t *testing.T) {
	t.Parallel()
	const file = `
routes:
  - name: r
    match: {topic: commerce.events, event: payment_failed}
    when: .metadata.attempt_count >= 2
    send: [{campaign: {id: c-1, properties: {amount: .total, big: .metadata.big}}}]
examples:
`
	const second = `  - name: n
    record: {topic: commerce.events, event_type: payment_failed, total: 84.90, metadata: {attempt_count: 2, big: 820982911946154508}}
`
	for _, c := range []struct {
		name, example, want string // what does not hold
	}{
		{"what is not mentioned may be anything", second + "    expect: [{campaign: {id: c-1}}]", ""},
		{"prices are compared as numbers", second + "    expect: [{campaign: {properties: {amount: 84.900, big: 820982911946154508}}, route: r}]", ""},
		{
			"large numbers are compared by every digit", second + "    expect: [{campaign: {properties: {amount: 84.9, big: 820982911946154509}}}]",
			`example "n" (line 8): want [{"campaign":{"properties":{"amount":84.9,"big":820982911946154509}}}], got [{"campaign":{"id":"c-1","properties":{"amount":84.9,"big":820982911946154508},"priority":"live"},"route":"r"}]`,
		},
		{
			"properties have to be complete", second + "    expect: [{campaign: {properties: {amount: 84.9}}}]",
			`example "n" (line 8): want [{"campaign":{"properties":{"amount":84.9}}}], got [{"campaign":{"id":"c-1","properties":{"amount":84.9,"big":820982911946154508},"priority":"live"},"route":"r"}]`,
		},
		{"another route", second + "    expect: [{campaign: {id: c-1}, route: s}]", `example "n" (line 8): want [{"campaign":{"id":"c-1"},"route":"s"}], got [{"campaign":{"id":"c-1","properties":{"amount":84.9,"big":820982911946154508},"priority":"live"},"route":"r"}]`},
		{
			"fewer actions than expected", "  - name: n\n    record: {topic: customer.events, event_name: X}\n    expect: [{event: as is}, {skip: x}]",
			`example "n" (line 8): want [{"event":"as is"},{"skip":"x"}], got [{"event":"as is"}]`,
		},
		{"a refusal that is expected", "  - name: n\n    record: {topic: commerce.events, event_type: payment_failed, phone: '+431', metadata: {attempt_count: 3}}\n    expect: {refused: needs external_id}", ""},
		{
			"a refusal that is not", "  - name: n\n    record: {topic: commerce.events, event_type: payment_failed, phone: '+431', metadata: {attempt_count: 3}}\n    expect: [{skip: x}]",
			`example "n" (line 8): want [{"skip":"x"}], got refused: route r: send[0].campaign: a campaign needs external_id, an alias, braze_id or email, and the record has none of them`,
		},
		{
			"a refusal that does not come", second + "    expect: {refused: never}",
			`example "n" (line 8): want refused: never, got [{"campaign":{"id":"c-1","properties":{"amount":84.9,"big":820982911946154508},"priority":"live"},"route":"r"}]`,
		},
		{"a record of the past", "  - name: n\n    record: {topic: commerce.events, event_type: payment_failed, metadata: {attempt_count: 3}, backfill: true}\n    expect: [{campaign: {priority: backfill}}]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			n, failures := parse(t, file+c.example).CheckExamples()
			var got []string
			for _, f := range failures {
				got = append(got, f.Error())
			}
			if diff := cmp.Diff(c.want, strings.Join(got, "\n")); diff != "" || n != 1 {
				t.Errorf("%d examples (-want +got):\n%s", n, diff)
			}
		})
	}
}

func TestTheShippedFileKeepsWhatItPromises(t *testing.T) {
	t.Parallel()
	table, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if n, failures := table.CheckExamples(); n == 0 || len(failures) > 0 {
		t.Errorf("%d examples: %v", n, failures)
	}
	if len(table.Names()) != 0 {
		t.Errorf("it has routes: %v", table.Names())
	}
}

func TestLoadSaysWhichFileCannotBeRead(t *testing.T) {
	t.Parallel()
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("got %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, make([]byte, maxFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("got %v", err)
	}
}

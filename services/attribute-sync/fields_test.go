package attributesync_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
	"github.com/sluicehq/sluice/services/attribute-sync/cases"
	"github.com/sluicehq/sluice/services/attribute-sync/spending"
)

func load(t *testing.T, text string) (*attributesync.Fields, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fields.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return attributesync.LoadFields(path)
}

func TestTheShippedFileSaysWhatHoldsWithoutIt(t *testing.T) {
	f, err := attributesync.LoadFields("")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(cases.Defaults(), f.Support); diff != "" {
		t.Errorf("support (-default +shipped)\n%s", diff)
	}
	if diff := cmp.Diff(spending.Defaults(), f.Commerce); diff != "" {
		t.Errorf("commerce (-default +shipped)\n%s", diff)
	}
}

func TestWhatAFileDoesNotNameStaysAsItIs(t *testing.T) {
	for _, text := range []string{"fields: []\n", "# nothing\n", "support: {}\n", "commerce: {}\n", "on_invalid: drop\n", "support:\n", "commerce: {orders: orders_placed}\n"} {
		f, err := load(t, text)
		if err != nil || f.Commerce != spending.Defaults() || f.Support != cases.Defaults() {
			t.Errorf("%q: %+v, %v", text, f, err)
		}
	}
}

func TestAnEmptyFileChangesNothing(t *testing.T) {
	f, err := load(t, "")
	if err != nil || len(f.Profile.Fields) != 0 || f.Commerce != spending.Defaults() || f.Support != cases.Defaults() {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	for _, c := range []struct{ name, text, says string }{
		{"a key that does not exist", "fields:\n  - {name: tier, owned: crm}\n", "owned"},
		{"a section that does not exist", "loyalty: {}\n", "loyalty"},
		{"no YAML at all", "fields: [", "YAML"},
		{"a duration that is none", "support: {cool_down: soon}\n", "duration"},
		{"a rating beyond the scale", "support: {win_back: {at_most: 11}}\n", "support.win_back.at_most"},
		{"a field without a name", "fields:\n  - {owner: crm}\n", "name"},
		{"a word that is none of the two", "on_invalid: shrug\n", "on_invalid"},
		{"one name for two attributes", "commerce: {orders: n, billing: n}\n", "commerce.billing"},
		{"a name of Braze's own", "commerce: {spent: email, orders: external_id}\n", "commerce.orders"},
		{"one name in two sections", "commerce: {orders: open_cases}\n", "commerce.orders"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(t, c.text)
			var problems config.Problems
			if err == nil || !strings.Contains(err.Error(), c.says) || !errors.As(err, &problems) {
				t.Errorf("%v; want a problem that says %q", err, c.says)
			}
			if err != nil && !strings.Contains(err.Error(), "fields.yaml") {
				t.Errorf("the file is not named: %v", err)
			}
		})
	}
	if _, err := attributesync.LoadFields("/nowhere/fields.yaml"); err == nil {
		t.Error("a file that is not there is taken")
	}
}

package avro_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
)

// TestFramesAreTheBytesThatOthersRead compares whole records with files that were reviewed once.
// GOLDEN=write rewrites them.
func TestFramesAreTheBytesThatOthersRead(t *testing.T) {
	e := full()
	profile := event.Profile{
		ID: "p-1", User: event.User{AliasLabel: "anonymous_id", AliasName: "a-1"}, Set: []byte(`{"plan":"gold"}`), Unset: []string{"old"},
		Subscriptions: []event.Subscription{{GroupID: "g", State: "subscribed"}}, Source: "crm",
		OccurredAt: time.UnixMilli(1_800_000_000_000), ReceivedAt: time.UnixMilli(1_800_000_000_500),
	}
	c := order()
	supportCase, update := supportCases(), updates()
	for name, frame := range map[string][]byte{
		"event.hex":    avro.AppendEvent(nil, 7, &e),
		"commerce.hex": appendCommerce(t, 9, &c),
		"profile.hex":  avro.AppendProfile(nil, 8, &profile),
		"case.hex":     avro.AppendCase(nil, 10, &supportCase.full),
		"update.hex":   avro.AppendUpdate(nil, 11, &update.full),
	} {
		path := filepath.Join("testdata", name)
		got := hex.Dump(frame)
		if os.Getenv("GOLDEN") == "write" {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-reviewed +now)\n%s", name, diff)
		}
	}
}

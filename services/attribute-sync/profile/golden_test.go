package profile

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

// TestTheStateKeepsItsFormat reads what is in the states of users who have been there before. If the
// bytes must change, the format must get another number, and the old one must still be read.
func TestTheStateKeepsItsFormat(t *testing.T) {
	t.Parallel()
	u := newUser(t, nil)
	first := versioned(says("crm", 1, `{"email":"a@example.org","n":1,"o":{"a":1.50,"b":["x",true]},"x":-2.5e-3,"gone":null,"yes":true}`), 7)
	first.Subscriptions = []event.Subscription{{GroupID: someGroup, State: "unsubscribed"}}
	u.window(first)
	u.window(says("shop", 2, `{"email":"b@example.org"}`), named(increments("shop", 2, `{"n":5}`), "e1"),
		adds("shop", 3, `{"tags":["a",1]}`, `{"tags":["b"]}`), named(says("shop", 4, `{"cars":{"$add":[{"id":1}]}}`), "e2"))
	file := filepath.Join("testdata", "golden", "state.hex")
	got := hex.Dump(u.state.Append(nil))
	if os.Getenv("GOLDEN") == "write" {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the state is written in other bytes (-want +got)\n%s", diff)
	}
}

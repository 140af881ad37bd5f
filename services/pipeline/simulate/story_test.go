package simulate

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// update says to rewrite golden files.
var update = os.Getenv("GOLDEN") == "write"

// The hash of the first 5,000 acts of seed 7. It changes when the story is meant to change, and then
// everybody's reproductions by seed are void: say so in the commit.
const storyOfSeed7 = "07f1b8153b519d6966b97d3a947f9d781bccdf0db1e06772efd9575cd1cdf900"

func TestOneSeedTellsOneStoryToTheByte(t *testing.T) {
	t.Parallel()
	tell := func(seed uint64) string {
		story := NewStory(Telling{Seed: seed, Customers: 50, Mishaps: FrontDoor})
		hash := sha256.New()
		for range 5_000 {
			a := story.Next()
			fmt.Fprintf(hash, "%s %s\n", a.Path, a.Body)
		}
		return hex.EncodeToString(hash.Sum(nil))
	}
	got := tell(7)
	if again := tell(7); got != again {
		t.Errorf("told twice, the story of seed 7 differs: %s and %s", got, again)
	}
	if other := tell(8); got == other {
		t.Error("seeds 7 and 8 tell the same story")
	}
	if got != storyOfSeed7 {
		t.Errorf("the story of seed 7 hashes to %s, want %s", got, storyOfSeed7)
	}
}

func TestStoriesBeginAsTheyAlwaysHave(t *testing.T) {
	t.Parallel()
	for name, telling := range map[string]Telling{
		"door":     {Seed: 7, Customers: 6, Mishaps: FrontDoor},
		"straight": {Seed: 7, Customers: 6, Mishaps: Upstream, Straight: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story := NewStory(telling)
			var got bytes.Buffer
			for range 80 {
				a := story.Next()
				fmt.Fprintf(&got, "%d %s %s", a.Number, a.Person.Key, a.Mishap)
				if a.Body != nil {
					fmt.Fprintf(&got, " POST %s %s", a.Path, a.Body)
				}
				for _, it := range a.Items {
					fmt.Fprintf(&got, "\n    %s %s %q seq=%d %s %s", it.ID, it.Kind, it.Name, it.Seq, it.Want, it.Fate)
				}
				got.WriteByte('\n')
			}
			golden(t, filepath.Join("testdata", name+".golden"), got.Bytes())
		})
	}
}

func TestMishapsDoNotChangeTheRestOfTheStory(t *testing.T) {
	t.Parallel()
	names := func(mishaps []Mishap) []string {
		story := NewStory(Telling{Seed: 3, Customers: 20, Mishaps: mishaps})
		var names []string
		for len(names) < 1_000 {
			// Of an act that goes wrong the first item is what the person wanted to do.
			if a := story.Next(); a.Items[0].Want != Duplicate {
				names = append(names, a.Person.Key)
			}
		}
		return names
	}
	if diff := cmp.Diff(names(nil), names(FrontDoor)); diff != "" {
		t.Errorf("who acts when differs with mishaps (-without +with):\n%s", diff)
	}
}

func TestEverybodysEventsAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	for _, telling := range []Telling{
		{Seed: 1, Customers: 30, Mishaps: FrontDoor},
		{Seed: 1, Customers: 30, Mishaps: Upstream, Straight: true},
	} {
		story := NewStory(telling)
		last := map[string]int{} // by person and topic
		for range 5_000 {
			a := story.Next()
			items := slices.Clone(a.Items)
			slices.SortStableFunc(items, func(a, b Item) int { return a.Seq - b.Seq }) // a refund may come before its order
			for _, it := range items {
				who := fmt.Sprint(a.Person.Key, it.Commerce != nil)
				repeated := (a.Mishap == Twice || a.Mishap == Restated) && it.Seq == last[who]
				if it.Seq == 0 || it.Want == Duplicate || repeated {
					continue
				}
				if it.Seq != last[who]+1 {
					t.Fatalf("act %d of %s (%s) has seq %d behind %d", a.Number, a.Person.Key, a.Mishap, it.Seq, last[who])
				}
				last[who] = it.Seq
				if got := carried(t, it); got != it.Seq {
					t.Fatalf("act %d: the item %+v carries seq %d", a.Number, it, got)
				}
			}
		}
	}
}

// carried is the number that an item carries to whoever receives it.
func carried(t *testing.T, it Item) int {
	t.Helper()
	if it.Commerce != nil {
		return it.Commerce.Metadata["seq"].(int)
	}
	var properties struct{ Seq int }
	if err := json.Unmarshal(it.Properties, &properties); err != nil {
		t.Fatalf("properties %s: %v", it.Properties, err)
	}
	return properties.Seq
}

func TestShopsTellOfEverythingTheyCan(t *testing.T) {
	t.Parallel()
	story, seen := NewStory(Telling{Seed: 1}), map[string]int{}
	for range 5_000 {
		for _, it := range story.Next().Items {
			if c := it.Commerce; c != nil {
				seen[c.Type]++
				sum := c.Subtotal + c.Shipping
				for _, d := range c.Discounts {
					sum -= d.cents
				}
				if c.Type == "order_placed" && (c.Total != sum || c.Subtotal != worth(c.Lines) || c.Tax <= 0) {
					t.Fatalf("an order does not add up: %+v", c)
				}
			}
		}
	}
	for _, kind := range []string{
		"product_viewed", "cart_updated", "checkout_started", "order_placed", "order_cancelled", "order_refunded",
		"shipment_updated", "delivered", "renewal_due", "payment_failed", "payment_recovered",
	} {
		if seen[kind] < 5 {
			t.Errorf("%d of 5,000 acts are %s: %v", seen[kind], kind, seen)
		}
	}
}

func TestOfficesSayEverythingTheyCan(t *testing.T) {
	t.Parallel()
	for _, telling := range []Telling{{Seed: 1, Mishaps: FrontDoor}, {Seed: 1}} {
		story, seen := NewStory(telling), map[string]int{}
		for range 5_000 {
			a := story.Next()
			for _, it := range a.Items {
				if it.Said == nil || it.Want == Duplicate {
					continue
				}
				seen[it.Kind+" "+it.Name]++
				seen[string(a.Mishap)]++
				if got := a.object(it); got["user"] == nil || got["id"] != it.ID || got["source"] == nil {
					t.Fatalf("an office says %v", got)
				}
			}
		}
		want := []string{
			"profile new", "profile repeated", "profile stale", "profile add", "profile increment",
			"case opened", "case escalated", "case resolved", "case reopened", "case rated",
		}
		for _, name := range want {
			if seen[name] < 3 {
				t.Errorf("%d acts of 5,000 are %s: %v", seen[name], name, seen)
			}
		}
		if wrong := seen["twice"] > 0 && seen["late"] > 0; wrong != (telling.Mishaps != nil) {
			t.Errorf("with the mishaps %v: %v", telling.Mishaps, seen)
		}
	}
}

// Every refund that is told in a story has its order before it, or right behind it in the same act.
func TestOnlyWhatWasOrderedIsGivenBack(t *testing.T) {
	t.Parallel()
	for _, telling := range []Telling{
		{Seed: 2, Mishaps: FrontDoor}, {Seed: 2, Mishaps: Upstream, Straight: true},
	} {
		story, ordered := NewStory(telling), map[string]bool{}
		for range 5_000 {
			a := story.Next()
			for _, it := range a.Items {
				if it.Name == "order_placed" && it.Fate == Delivered {
					ordered[a.Person.Key+it.Commerce.OrderID] = true
				}
			}
			for _, it := range a.Items {
				back := it.Name == "order_refunded" || it.Name == "order_cancelled"
				if back && !ordered[a.Person.Key+it.Commerce.OrderID] {
					t.Fatalf("act %d of %s gives back %s, of which nobody has heard", a.Number, a.Person.Key, it.Commerce.OrderID)
				}
			}
		}
	}
}

func TestAStoryHasEveryMishapOfItsWay(t *testing.T) {
	t.Parallel()
	for name, telling := range map[string]Telling{
		"front door": {Seed: 1, Mishaps: FrontDoor},
		"upstream":   {Seed: 1, Mishaps: Upstream, Straight: true},
	} {
		story, seen := NewStory(telling), map[Mishap]bool{}
		for range 3_000 {
			seen[story.Next().Mishap] = true
		}
		for _, m := range telling.Mishaps {
			if !seen[m] {
				t.Errorf("%s: no act is %s", name, m)
			}
		}
		if len(seen) != len(telling.Mishaps) {
			t.Errorf("%s: it has mishaps %v, want only %v", name, seen, telling.Mishaps)
		}
	}
}

func TestPeopleShareNoIdentifier(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, p := range NewPopulation(7, 5_000) {
		if other := seen[p.Key]; other != 0 {
			t.Fatalf("people %d and %d are both %s", other, p.Number, p.Key)
		}
		seen[p.Key] = p.Number
		if !strings.HasSuffix(p.Email, "@example.com") {
			t.Fatalf("person %d has an address that may be somebody's: %s", p.Number, p.Email)
		}
	}
}

func TestAPopulationBeginsWithEverySmallerOne(t *testing.T) {
	t.Parallel()
	few, many := NewPopulation(7, 10), NewPopulation(7, 100)
	for i, p := range few {
		if p.Key != many[i].Key || p.FirstName != many[i].FirstName {
			t.Errorf("person %d is %s %s among few and %s %s among many", i+1, p.FirstName, p.Key, many[i].FirstName, many[i].Key)
		}
	}
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

package attributesync

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/attribute-sync/profile"
)

// known is a customer of whom something is known.
func known(t testing.TB, who event.User, size int) *user {
	t.Helper()
	u := &user{who: who, revision: 7}
	rules, err := LoadFields("")
	if err != nil {
		t.Fatal(err)
	}
	set := []byte(`{"note":"x"}`)
	for i := range size {
		set = append(set[:len(set)-1], (`,"field_` + strings.Repeat("y", 40) + string(rune('a'+i%26)) + strings.Repeat("z", i/26) + `":"v"}`)...)
	}
	p := event.Profile{ID: "1", User: who, Set: set, Source: "crm", OccurredAt: time.UnixMilli(5)}
	if no := rules.Profile.Apply(&u.profile, &p, profile.Place{Now: time.UnixMilli(6)}); no != nil {
		t.Fatal(no)
	}
	u.profile.Update()
	c := event.Case{ID: "z", User: who, CaseID: "4711", Event: event.CaseOpened, Source: "zendesk", OccurredAt: time.UnixMilli(5)}
	if _, no := rules.Support.Apply(&u.cases, &c, time.UnixMilli(6)); no != nil {
		t.Fatal(no)
	}
	u.spending.Apply(&event.Commerce{ID: "o", Type: event.OrderPlaced, Currency: "EUR", Total: "84.9", OccurredAt: time.UnixMilli(5)})
	return u
}

func TestACustomerIsKeptAndComesBack(t *testing.T) {
	for name, who := range map[string]event.User{
		"by external id": {ExternalID: "crm-1"}, "by an external id that looks like an email's key": {ExternalID: "email:a@example.com"},
		"by Braze's id": {BrazeID: "5f2b"}, "by an alias with colons in it": {AliasLabel: "a:b", AliasName: "c:d"},
		"by email": {Email: "mira@example.com"}, "by phone": {Phone: "+43166"},
	} {
		for _, size := range []int{0, 3, 700} { // sections of two bytes' length and of three
			u := known(t, who, size)
			value := u.append(nil)
			var back user
			if err := back.decode([]byte(who.Key()), value); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(who, back.who); diff != "" || back.revision != 7 {
				t.Errorf("%s: revision %d (-want +got)\n%s", name, back.revision, diff)
			}
			if again := back.append(nil); !bytes.Equal(value, again) {
				t.Errorf("%s: %d bytes come back as %d others", name, len(value), len(again))
			}
		}
	}
}

func TestNothingIsKeptOfSomebodyUnknown(t *testing.T) {
	var u user
	if b := u.append(nil); b != nil {
		t.Errorf("%x", b)
	}
	if err := u.decode([]byte("u"), nil); err != nil {
		t.Error(err)
	}
}

func TestAKeyOfAnotherKindIsNoCustomer(t *testing.T) {
	value := known(t, event.User{Email: "mira@example.com"}, 1).append(nil)
	var u user
	if err := u.decode([]byte("mira@example.com"), value); err == nil || u.who != (event.User{}) || !u.profile.Empty() {
		t.Errorf("%v, %+v", err, u.who)
	}
}

func TestAnUpdatesNumberIsReadBackByItsOwnerOnly(t *testing.T) {
	for part, id := range map[int]string{0: updateID("u", 12, 0), 3: updateID("u", 12, 3)} {
		if n, p, ok := updateNumber(id, "u"); !ok || n != 12 || p != part {
			t.Errorf("%s: %d, part %d, %v", id, n, p, ok)
		}
		if _, _, ok := updateNumber(id, "v"); ok {
			t.Errorf("%s is taken for another's", id)
		}
	}
	for _, id := range []string{"", "-", "survey:zendesk:4711:1", updateID("u", 0, 5), strings.TrimSuffix(updateID("u", 1, 0), "1") + "x"} {
		if _, _, ok := updateNumber(id, "u"); ok {
			t.Errorf("%q has a number", id)
		}
	}
}

// TestADamagedSectionLeavesTheOthers: whoever cannot be told what Braze has can still be set free.
func TestADamagedSectionLeavesTheOthers(t *testing.T) {
	who := event.User{ExternalID: "crm-1"}
	u := known(t, who, 3)
	value := u.append(nil)
	size := len(u.profile.Append(nil))
	value[6] ^= 0xff // version, kind, label, revision, length: the profile begins
	if size < 10 {
		t.Fatalf("a profile of %d bytes", size)
	}
	var back user
	if err := back.decode([]byte(who.Key()), value); err == nil {
		t.Error("it is not noticed")
	}
	if !back.profile.Empty() || back.cases.Len() != 1 || back.spending.Empty() || back.who != who {
		t.Errorf("profile empty %v, %d cases, spending empty %v, %+v", back.profile.Empty(), back.cases.Len(), back.spending.Empty(), back.who)
	}
}

// FuzzDecodeUser reads any bytes: a customer, who comes back the same, or an error and what could be read.
func FuzzDecodeUser(f *testing.F) {
	f.Add("crm-1", known(f, event.User{ExternalID: "crm-1"}, 3).append(nil))
	f.Add("alias:a:b", known(f, event.User{AliasLabel: "a", AliasName: "b"}, 0).append(nil))
	f.Add("u", []byte{userVersion, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		var u, back user
		if u.decode([]byte(key), bytes.Clone(value)) != nil && u.who == (event.User{}) {
			if !u.profile.Empty() || !u.cases.Empty() || !u.spending.Empty() {
				t.Fatal("something is known of nobody")
			}
			return
		}
		again := u.append(nil)
		if err := back.decode([]byte(key), again); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, back.append(nil)) {
			t.Fatal("it does not come back the same")
		}
	})
}

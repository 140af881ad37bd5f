package event_test

import (
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestTheStrongestIdentifierIsTheKey(t *testing.T) {
	cases := []struct {
		name string
		user event.User
		want string
	}{
		{"nobody", event.User{}, ""},
		{"an external id stands alone", event.User{ExternalID: "crm-1", Email: "a@b.c", BrazeID: "b"}, "crm-1"},
		{"a Braze id says what it is", event.User{BrazeID: "5f", Email: "a@b.c"}, "braze_id:5f"},
		{"an alias has label and name", event.User{AliasLabel: "anonymous_id", AliasName: "x:y", Phone: "+43"}, "alias:anonymous_id:x:y"},
		{"an e-mail address is lower-cased", event.User{Email: "Mira@Example.COM", Phone: "+43"}, "email:mira@example.com"},
		{"a phone number", event.User{Phone: "+431234"}, "phone:+431234"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := c.user.Key(); got != c.want {
				t.Errorf("key = %q, want %q", got, c.want)
			}
			if !c.user.HasKey([]byte(c.want)) || c.user.HasKey([]byte(c.want+"x")) {
				t.Error("HasKey disagrees with Key")
			}
		})
	}
}

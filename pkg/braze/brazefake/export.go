package brazefake

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

// tally is how often something happened to a user, and when first and last.
type tally struct {
	Name      string    `json:"name,omitempty"`
	ProductID string    `json:"product_id,omitempty"`
	First     time.Time `json:"first"`
	Last      time.Time `json:"last"`
	Count     int       `json:"count"`
}

// exportKept is how far back an export looks (braze-docs: post_users_identifier).
const exportKept = 90 * 24 * time.Hour

// planExport plans /users/export/ids, which reads what has been applied by now.
func (s *Sandbox) planExport(c *call, _ *http.Request, body []byte) (plan, reply) {
	f := s.read(c, "", body, "external_ids", "user_aliases", "device_id", "braze_id", "email_address", "phone", "fields_to_export")
	ids, aliases := f.texts("external_ids", false), f.list("user_aliases")
	f.most("external_ids", len(ids)+len(aliases), c.endpoint.MaxItems)
	var asked []identity
	for _, id := range ids {
		asked = append(asked, identity{externalID: id, primaries: 1})
	}
	for i, a := range aliases {
		who := identity{}
		if who.read("user_alias", a); who.refusal != "" {
			f.fail("'user_aliases[%d]': %s", i, who.refusal)
		}
		asked = append(asked, who)
	}
	singles := 0
	for name, who := range map[string]identity{
		"email_address": {email: f.text("email_address")}, "phone": {phone: f.text("phone")}, "braze_id": {brazeID: f.text("braze_id")},
	} {
		if f.has(name) {
			singles++
			asked = append(asked, who)
		}
	}
	if f.has("device_id") {
		singles++ // devices are not kept: nobody has it
	}
	switch {
	case singles+len(ids)+len(aliases) == 0:
		f.fail("one of external_ids, user_aliases, device_id, email_address and phone is required")
	case singles > 1 || singles == 1 && len(ids)+len(aliases) > 0:
		f.fail("a device_id, an email_address or a phone must be alone")
	case len(f.texts("fields_to_export", false)) == 0 && !c.knobs.ExportAnyFields:
		f.fail("'fields_to_export' is required")
	}
	p := plan{items: singles + len(ids) + len(aliases), status: c.knobs.PlainStatus}
	for _, who := range asked {
		p.users = append(p.users, who.key())
	}
	fields := f.texts("fields_to_export", false)
	p.answer = func() []byte {
		users, invalid := []map[string]any{}, []string{}
		for _, who := range asked {
			profiles := s.profilesOf(who)
			if len(profiles) == 0 && who.externalID != "" {
				invalid = append(invalid, who.externalID)
			}
			for _, profile := range profiles {
				users = append(users, exported(profile, fields, c.at))
			}
		}
		return success("users", string(mustJSON(users)), "invalid_user_ids", string(mustJSON(invalid)))
	}
	return p, f.bad()
}

// profilesOf are all that an identity names; several may share an address.
func (s *Sandbox) profilesOf(who identity) (profiles []Profile) {
	s.people.whole.RLock()
	defer s.people.whole.RUnlock()
	if who.email != "" || who.phone != "" {
		for _, p := range s.people.sharing(who.email, who.phone) {
			profiles = append(profiles, p.view())
		}
		return profiles
	}
	if p := s.people.find(who); p != nil {
		profiles = append(profiles, p.view())
	}
	return profiles
}

// exported is a profile as Braze shows it, with only those fields if any are named.
func exported(p Profile, fields []string, now time.Time) map[string]any {
	out := map[string]any{"braze_id": p.BrazeID, "created_at": p.CreatedAt}
	if p.ExternalID != "" {
		out["external_id"] = p.ExternalID
	}
	if p.Alias != nil {
		out["user_aliases"] = append([]Alias{*p.Alias}, p.MoreAliases...)
	}
	for name, value := range p.Attributes {
		out[name] = value
	}
	if len(p.Custom) > 0 {
		out["custom_attributes"] = p.Custom
	}
	if events := tallied(p.Events, braze.Events, now); len(events) > 0 {
		out["custom_events"] = events
	}
	if purchases := tallied(p.Purchases, braze.Purchases, now); len(purchases) > 0 {
		out["purchases"] = purchases
	}
	if len(fields) > 0 {
		maps.DeleteFunc(out, func(name string, _ any) bool { return !slices.Contains(fields, name) })
	}
	return out
}

// tallied counts events by name, or purchases by product.
func tallied(events []Event, array braze.Array, now time.Time) []tally {
	byName := map[string]*tally{}
	for i := range events {
		e := &events[i]
		if now.Sub(e.Time) > exportKept {
			continue
		}
		t := byName[e.Name]
		if t == nil {
			t = &tally{First: e.Time, Last: e.Time}
			if byName[e.Name] = t; array == braze.Events {
				t.Name = e.Name
			} else {
				t.ProductID = e.Name
			}
		}
		t.Count++
		if e.Time.Before(t.First) {
			t.First = e.Time
		}
		if e.Time.After(t.Last) {
			t.Last = e.Time
		}
	}
	out := []tally{}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		out = append(out, *byName[name])
	}
	return out
}

// touched is the answer of /users/track/sync: what the object has changed, as it now stands. Users are
// empty where nobody exists and nobody was to be created (braze-docs: post_user_track_synchronous).
func (s *Sandbox) touched(o *object) []byte {
	profile, found := s.Profile(o.user)
	users := []map[string]any{}
	if found {
		user := map[string]any{}
		if profile.ExternalID != "" {
			user["external_id"] = profile.ExternalID
		}
		mine := func(events []Event) []Event {
			return slices.DeleteFunc(events, func(e Event) bool { return e.Name != string(o.name) })
		}
		switch o.array {
		case braze.Attributes:
			custom := map[string]json.RawMessage{}
			for name := range dictionary(o.raw) {
				if value, has := profile.Custom[name]; has {
					custom[name] = value
				}
				if value, has := profile.Attributes[name]; has {
					user[name] = value
				}
			}
			user["custom_attributes"] = custom
		case braze.Events:
			user["custom_events"] = tallied(mine(profile.Events), braze.Events, o.at)
		case braze.Purchases:
			user["purchase_events"] = tallied(mine(profile.Purchases), braze.Purchases, o.at)
		}
		users = append(users, user)
	}
	return success("users", string(mustJSON(users)))
}

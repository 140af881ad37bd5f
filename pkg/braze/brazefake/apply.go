package brazefake

import (
	"encoding/json"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// apply does to the profiles what a request's objects say, in their order: attributes, then events, then
// purchases.
func (s *Sandbox) apply(objects []object, k *Knobs) {
	s.people.whole.RLock()
	defer s.people.whole.RUnlock()
	for i := range objects {
		o := &objects[i]
		if o.refusal != "" || o.user == "" {
			continue
		}
		who := s.whom(o, k)
		if who == nil {
			s.counters.nobody.Add(1)
			continue
		}
		if o.array == braze.Attributes {
			s.setAttributes(who, o)
			if o.who.email != "" || o.who.phone != "" {
				s.inherit(who, o.who.email, o.who.phone)
			}
		} else {
			s.store(who, o)
		}
		s.counters.applied[o.array].Add(1)
	}
}

// whom returns the person that an object is about, created where that is allowed: always for an
// external_id, an email or a phone, unless _update_existing_only says no; for an alias only where it
// says so (braze-docs: user_attributes_object, event_object).
func (s *Sandbox) whom(o *object, k *Knobs) *person {
	create := o.updateOnly != 't'
	if o.who.aliasName != "" {
		create = o.updateOnly == 'f' && (o.array == braze.Attributes || !k.AliasEventsIgnored)
	}
	if create {
		return s.people.findOrCreate(o.who)
	}
	return s.people.find(o.who)
}

// store keeps an event or a purchase.
func (s *Sandbox) store(who *person, o *object) {
	e := Event{
		Name: o.entry.Name, Time: o.at, Properties: keptProperties(o.entry.Properties), AppID: raw(o.appID),
		Request: o.entry.Request, Received: o.entry.Place, Applied: s.counters.appliedPlace.Add(1), Clamped: o.clamped,
	}
	if o.array == braze.Purchases {
		e.Currency, e.Price, e.Quantity = raw(o.currency), raw(o.price), raw(o.quantity)
	}
	who.updated.Store(time.Now().UnixNano())
	who.mu.Lock()
	defer who.mu.Unlock()
	defer s.behaved(who, o)
	if o.array == braze.Purchases {
		who.buyCount++
		who.purchases = remember(who.purchases, e, s.options.MaxEventsPerUser)
	} else {
		who.eventCount++
		who.events = remember(who.events, e, s.options.MaxEventsPerUser)
	}
}

// setAttributes changes a profile.
func (s *Sandbox) setAttributes(who *person, o *object) {
	s.counters.appliedPlace.Add(1)
	who.updated.Store(time.Now().UnixNano())
	who.mu.Lock()
	defer who.mu.Unlock()
	merge := false
	for name, value := range jsonscan.Members(o.raw) {
		if string(name) == "_merge_objects" {
			merge = value[0] == 't'
		}
	}
	for name, value := range jsonscan.Members(o.raw) {
		switch string(name) {
		case "external_id", "user_alias", "braze_id", "_update_existing_only", "_merge_objects", "push_token_import":
			continue
		case "subscription_groups":
			s.setGroups(who, value)
			continue
		}
		if allowed := profileFields[string(name)]; allowed != nil {
			s.setField(who, string(name), value, allowed)
			continue
		}
		key, ok := trimmed(name)
		var now json.RawMessage
		if ok {
			now, ok = change(who.custom[key], value, merge)
		}
		switch {
		case !ok:
			s.counters.valuesIgnored.Add(1)
		case now == nil:
			delete(who.custom, key)
		default:
			who.custom[key] = now
		}
	}
}

// setField sets a field that Braze knows.
func (s *Sandbox) setField(who *person, name string, value []byte, allowed func([]byte) bool) {
	if name == "country" {
		if code, isString := jsonscan.String(value); isString && !countries[string(code)] {
			value = []byte("null") // what cannot be mapped becomes null (braze-docs: user_attributes_object)
		}
	}
	before := who.attributes[name]
	if isNull(value) {
		delete(who.attributes, name)
	} else if allowed(value) {
		who.attributes[name] = raw(value)
	} else {
		s.counters.valuesIgnored.Add(1)
		return
	}
	text, _ := jsonscan.String(value)
	switch name {
	case "email_subscribe":
		s.resubscribed(who, before, who.attributes[name], byAPI)
	case "email":
		s.people.setEmail(who, string(text))
	case "phone":
		s.people.setPhone(who, string(text))
	}
}

// setGroup sets the state in one subscription group; the person is locked.
func (p *person) setGroup(group, state string) {
	if p.groups == nil {
		p.groups = map[string]string{}
	}
	p.groups[group] = state
}

// setGroups sets the states that a profile's attributes name; the person is locked.
func (s *Sandbox) setGroups(who *person, value []byte) {
	for element := range jsonscan.Elements(value) {
		members := dictionary(element)
		id, _ := jsonscan.String(members["subscription_group_id"])
		state, _ := jsonscan.String(members["subscription_state"])
		before := who.groups[string(id)]
		who.setGroup(string(id), string(state))
		s.regrouped(who, string(id), before, string(state))
	}
}

// maxPending bounds the requests that wait to be applied. Beyond it they are applied at once, so that a
// long delay under load does not eat the machine.
const maxPending = 100_000

// applySoon applies a request's objects after a delay, or now when there is none. Now reports the
// latter: then nobody needs the objects any more.
func (s *Sandbox) applySoon(objects []object, k *Knobs, delay time.Duration) (now bool) {
	return s.soon(delay, func() { s.apply(objects, k) })
}

// soon does something after a delay, or now when there is none; Drain waits for it.
func (s *Sandbox) soon(delay time.Duration, do func()) (now bool) {
	if delay <= 0 || s.pending.n.Load() >= maxPending {
		do()
		return true
	}
	s.pending.add()
	time.AfterFunc(delay, func() {
		defer s.pending.done()
		do()
	})
	return false
}

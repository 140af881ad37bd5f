package brazefake

import (
	"encoding/json"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

// Who is who can change: a user known by an alias gets an external id, two turn out to be one, somebody is
// deleted or renamed. All of it happens here, while people.whole is locked, so nobody is in the middle of
// anything.

// resolve returns the only person that is meant, by the rules of prioritization where an address is
// shared, or nil: if more than one still matches, nothing happens (braze-docs: post_user_identify).
func (p *people) resolve(t target) *person {
	id := t.who
	if id.email == "" && id.phone == "" || id.primaries > 0 {
		return p.find(id)
	}
	matching := p.sharing(id.email, id.phone)
	for _, rule := range t.rules {
		switch braze.Prioritization(rule) {
		case braze.Identified:
			matching = slices.DeleteFunc(matching, func(p *person) bool { return p.externalID == "" })
		case braze.Unidentified:
			matching = slices.DeleteFunc(matching, func(p *person) bool { return p.externalID != "" })
		case braze.MostRecentlyUpdated, braze.LeastRecentlyUpdated:
			if len(matching) == 0 {
				return nil
			}
			slices.SortFunc(matching, func(a, b *person) int { return int(a.updated.Load() - b.updated.Load()) })
			if rule == string(braze.MostRecentlyUpdated) {
				slices.Reverse(matching)
			}
			matching = matching[:1]
		}
	}
	if len(matching) != 1 {
		return nil
	}
	return matching[0]
}

// hasLabel reports whether somebody has an alias with that label.
func (p *person) hasLabel(label string) bool {
	return slices.ContainsFunc(p.aliases, func(a Alias) bool { return a.Label == label })
}

// identify joins the known user to an external id, and says what it did.
func (p *people) identify(known target, externalID string) string {
	from := p.resolve(known)
	switch {
	case from == nil:
		return "nobody matches, or more than one do"
	case from.externalID != "":
		return "has an external id already"
	}
	into := p.find(identity{externalID: externalID})
	if into == nil {
		from.externalID = externalID
		p.shard(externalID).byExternal[externalID] = from
		from.updated.Store(time.Now().UnixNano())
		return "given the external id"
	}
	if known.who.aliasName != "" && into.hasLabel(known.who.aliasLabel) {
		return "not merged: there is an alias with that label"
	}
	p.merge(from, into)
	return "merged"
}

// addAlias gives an alias to a user, or makes one for it; existing names stay whose they are.
func (p *people) addAlias(a Alias, externalID string) string {
	key := aliasKey(a.Label, a.Name)
	if p.alias[key] != nil {
		return "the alias is somebody's already"
	}
	if externalID == "" {
		p.findOrCreate(identity{aliasLabel: a.Label, aliasName: a.Name, primaries: 1})
		return "created"
	}
	who := p.find(identity{externalID: externalID})
	switch {
	case who == nil:
		return "no such user"
	case who.hasLabel(a.Label):
		return "the user has an alias with that label"
	}
	who.aliases = append(who.aliases, a)
	p.alias[key] = who
	return "added"
}

// merge makes one of two: what the one who stays has wins, what is missing is copied, counters are summed
// (braze-docs: post_users_merge).
func (p *people) merge(from, into *person) {
	if from == into {
		return
	}
	missing(into.attributes, from.attributes)
	missing(into.custom, from.custom)
	for group, state := range from.groups {
		if _, has := into.groups[group]; !has {
			into.setGroup(group, state)
		}
	}
	into.events = append(into.events, from.events...)
	into.purchases = append(into.purchases, from.purchases...)
	into.eventCount += from.eventCount
	into.buyCount += from.buyCount
	if p.maxEvents > 0 {
		into.events = into.events[max(len(into.events)-p.maxEvents, 0):]
		into.purchases = into.purchases[max(len(into.purchases)-p.maxEvents, 0):]
	}
	email, phone := from.email, from.phone
	p.forget(from)
	if into.email == "" {
		p.move(into, p.email, &into.email, email)
	}
	if into.phone == "" {
		p.move(into, p.phone, &into.phone, phone)
	}
	for _, a := range from.aliases {
		if !into.hasLabel(a.Label) {
			into.aliases = append(into.aliases, a)
			p.alias[aliasKey(a.Label, a.Name)] = into
		}
	}
	into.updated.Store(time.Now().UnixNano())
}

// missing copies what is not there.
func missing(into, from map[string]json.RawMessage) {
	for name, value := range from {
		if _, has := into[name]; !has {
			into[name] = value
		}
	}
}

// forget removes somebody for good.
func (p *people) forget(gone *person) {
	p.unindex(gone)
	p.unlist(gone)
	p.oldest = slices.DeleteFunc(p.oldest, func(other *person) bool { return other == gone })
}

// rename gives somebody another external id, the old one being deprecated from then on. It returns why it
// did not, or nothing (braze-docs: post_external_ids_rename).
func (p *people) rename(current, now string) string {
	who := p.find(identity{externalID: current})
	switch {
	case who == nil:
		return "current_external_id does not exist"
	case who.externalID != current:
		return "current_external_id is deprecated"
	case p.find(identity{externalID: now}) != nil:
		return "new_external_id is in use"
	}
	who.deprecated = append(who.deprecated, current)
	who.externalID = now
	p.shard(now).byExternal[now] = who
	return ""
}

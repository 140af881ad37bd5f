package brazefake

import (
	"hash/maphash"
	"slices"
	"strings"
	"sync"
)

// people are all profiles, found by external id in shards and by everything else in one index.
//
// Locks are taken in the order shard, then index; a person's own lock is never held while one of
// these is wanted, but for the index when an address changes. Whoever changes by what names people go
// (merging.go) locks the whole; all others share it, from looking somebody up until they are done.
type people struct {
	maxProfiles, maxEvents int
	counters               *counters
	seed                   maphash.Seed
	shards                 [personShards]personShard

	whole sync.RWMutex

	mu      sync.RWMutex // the index
	alias   map[string]*person
	brazeID map[string]*person
	email   map[string][]*person
	phone   map[string][]*person
	oldest  []*person // in order of creation
	created uint64
}

const personShards = 64

type personShard struct {
	mu         sync.RWMutex
	byExternal map[string]*person
}

func (p *people) init(maxProfiles, maxEvents int, c *counters) {
	p.maxProfiles, p.maxEvents, p.counters = maxProfiles, maxEvents, c
	p.seed = maphash.MakeSeed()
	p.reset()
}

func (p *people) reset() {
	p.whole.Lock()
	defer p.whole.Unlock()
	for i := range p.shards {
		p.shards[i].mu.Lock()
		p.shards[i].byExternal = map[string]*person{}
		p.shards[i].mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.alias, p.brazeID = map[string]*person{}, map[string]*person{}
	p.email, p.phone = map[string][]*person{}, map[string][]*person{}
	p.oldest = nil
}

func (p *people) shard(externalID string) *personShard {
	return &p.shards[maphash.String(p.seed, externalID)%personShards]
}

// count is the number of profiles that are kept.
func (p *people) count() int {
	p.whole.RLock()
	defer p.whole.RUnlock()
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.oldest)
}

// find returns the person that an identity names, or nil.
func (p *people) find(id identity) *person {
	if id.externalID != "" {
		shard := p.shard(id.externalID)
		shard.mu.RLock()
		defer shard.mu.RUnlock()
		return shard.byExternal[id.externalID]
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	switch {
	case id.brazeID != "":
		return p.brazeID[id.brazeID]
	case id.aliasName != "":
		return p.alias[aliasKey(id.aliasLabel, id.aliasName)]
	case id.email != "":
		return latest(p.email[strings.ToLower(id.email)])
	case id.phone != "":
		return latest(p.phone[id.phone])
	}
	return nil
}

// latest picks, of several people with one address, the one updated last, preferring those with an
// external id (braze-docs: post_user_track).
func latest(candidates []*person) (best *person) {
	for _, c := range candidates {
		switch {
		case best == nil:
			best = c
		case (c.externalID != "") != (best.externalID != ""):
			if c.externalID != "" {
				best = c
			}
		case c.updated.Load() > best.updated.Load():
			best = c
		}
	}
	return best
}

// findOrCreate returns the person that an identity names, created if there is none. A braze_id creates
// nobody.
func (p *people) findOrCreate(id identity) *person {
	if found := p.find(id); found != nil || id.brazeID != "" {
		return found
	}
	var who, gone *person
	if id.externalID != "" {
		who, gone = p.createExternal(id)
	} else {
		who, gone = p.createOther(id)
	}
	if gone != nil {
		// Only now, when no lock is held: that of its shard comes before that of the index.
		p.unlist(gone)
	}
	return who
}

// unlist takes somebody out of the shards.
func (p *people) unlist(gone *person) {
	for _, id := range append([]string{gone.externalID}, gone.deprecated...) {
		if id == "" {
			continue
		}
		shard := p.shard(id)
		shard.mu.Lock()
		if shard.byExternal[id] == gone {
			delete(shard.byExternal, id)
		}
		shard.mu.Unlock()
	}
}

func (p *people) createExternal(id identity) (who, gone *person) {
	shard := p.shard(id.externalID)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if found := shard.byExternal[id.externalID]; found != nil {
		return found, nil
	}
	who = newPerson(id)
	shard.byExternal[id.externalID] = who
	p.mu.Lock()
	defer p.mu.Unlock()
	return who, p.register(who)
}

func (p *people) createOther(id identity) (who, gone *person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key, email := aliasKey(id.aliasLabel, id.aliasName), strings.ToLower(id.email)
	switch {
	case id.aliasName != "":
		who = p.alias[key]
	case email != "":
		who = latest(p.email[email])
	default:
		who = latest(p.phone[id.phone])
	}
	if who != nil {
		return who, nil
	}
	who = newPerson(id)
	switch {
	case id.aliasName != "":
		p.alias[key] = who
	case email != "":
		who.email = email
		p.email[email] = append(p.email[email], who)
	default:
		who.phone = id.phone
		p.phone[id.phone] = append(p.phone[id.phone], who)
	}
	return who, p.register(who)
}

func aliasKey(label, name string) string { return label + "\x00" + name }

// register gives a new person a braze_id. If there are now too many it forgets the oldest, which is
// returned: whoever called has the index locked and must still take it out of its shard.
func (p *people) register(created *person) (gone *person) {
	p.created++
	created.brazeID = brazeID(p.created)
	p.brazeID[created.brazeID] = created
	p.oldest = append(p.oldest, created)
	if p.maxProfiles == 0 || len(p.oldest) <= p.maxProfiles {
		return nil
	}
	gone, p.oldest[0] = p.oldest[0], nil
	p.oldest = p.oldest[1:]
	p.unindex(gone)
	return gone
}

// unindex takes somebody out of the index.
func (p *people) unindex(gone *person) {
	gone.forgotten = true
	delete(p.brazeID, gone.brazeID)
	for _, a := range gone.aliases {
		if key := aliasKey(a.Label, a.Name); p.alias[key] == gone {
			delete(p.alias, key)
		}
	}
	remove(p.email, gone.email, gone)
	remove(p.phone, gone.phone, gone)
}

// setEmail and setPhone keep the index right when an address changes; empty is none.
func (p *people) setEmail(who *person, email string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.move(who, p.email, &who.email, strings.ToLower(email))
}

func (p *people) setPhone(who *person, phone string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.move(who, p.phone, &who.phone, phone)
}

func (p *people) move(who *person, index map[string][]*person, key *string, to string) {
	if who.forgotten || *key == to {
		return
	}
	remove(index, *key, who)
	if *key = to; to != "" {
		index[to] = append(index[to], who)
	}
}

func remove(index map[string][]*person, key string, who *person) {
	if key == "" {
		return
	}
	left := slices.DeleteFunc(index[key], func(other *person) bool { return other == who })
	if len(left) == 0 {
		delete(index, key)
		return
	}
	index[key] = left
}

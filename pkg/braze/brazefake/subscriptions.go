package brazefake

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// subscriptions are the states of addresses and numbers in subscription groups, which outlive the lack of
// a profile: for 30 days, a profile that gets the address inherits them (braze-docs:
// post_update_user_subscription_group_status). The states of users are in their profiles.
type subscriptions struct {
	mu     sync.Mutex
	states map[string]map[string]addressState // by address, then by group; "" is the address itself
}

type addressState struct {
	state string
	at    time.Time
}

const statesKept = 30 * 24 * time.Hour

func (u *subscriptions) set(address, group, state string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.states == nil {
		u.states = map[string]map[string]addressState{}
	}
	if u.states[address] == nil {
		u.states[address] = map[string]addressState{}
	}
	u.states[address][group] = addressState{state, time.Now()}
}

func (u *subscriptions) of(address string) map[string]addressState {
	u.mu.Lock()
	defer u.mu.Unlock()
	return maps.Clone(u.states[address])
}

func (u *subscriptions) forget(address string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.states, address)
}

func (u *subscriptions) reset() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.states = nil
}

// Subscription is the state of an email address or a phone number, set by itself and not by a user's id.
type Subscription struct {
	Address string `json:"address"`
	Group   string `json:"subscription_group_id,omitempty"` // empty is the address's own state
	State   string `json:"subscription_state"`
}

// Subscriptions are the states of addresses; those of users are in their profiles.
func (s *Sandbox) Subscriptions() []Subscription {
	s.subscriptions.mu.Lock()
	defer s.subscriptions.mu.Unlock()
	out := []Subscription{}
	for _, address := range slices.Sorted(maps.Keys(s.subscriptions.states)) {
		for _, group := range slices.Sorted(maps.Keys(s.subscriptions.states[address])) {
			out = append(out, Subscription{address, group, s.subscriptions.states[address][group].state})
		}
	}
	return out
}

// inherit gives somebody the states that their addresses have had for less than 30 days.
func (s *Sandbox) inherit(who *person, addresses ...string) {
	for _, address := range addresses {
		for group, kept := range s.subscriptions.of(strings.ToLower(address)) {
			if time.Since(kept.at) >= statesKept {
				continue
			}
			who.mu.Lock()
			if group == "" {
				if _, has := who.attributes["email_subscribe"]; !has {
					who.attributes["email_subscribe"] = []byte(quoted(kept.state))
				}
			} else if _, has := who.groups[group]; !has {
				who.setGroup(group, kept.state)
			}
			who.mu.Unlock()
		}
	}
}

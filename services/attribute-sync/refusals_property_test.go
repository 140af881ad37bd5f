package attributesync_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/receipt"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// moody is a Braze that refuses some of what it is told, and says so at once or later, and forgets some customers.
type moody struct {
	s      *scene
	dice   *rand.Rand
	heard  map[string]bool              // updates so far
	has    map[string]map[string]string // what it has of each user
	sentBy map[string]map[string]string // the update that each attribute was told with last
	no     map[string]bool              // updates that it has refused
	late   []*stream.Record             // refusals that nobody has been told of
	unsaid map[string]bool              // the updates that they are about
	gone   map[string]bool              // users who were deleted
}

// hear takes the updates that are new, and returns the receipts of what it refuses.
func (m *moody) hear(updates []event.Update) (receipts []*stream.Record) {
	receipts, m.late = m.late, nil
	clear(m.unsaid)
	for i := range updates {
		u := &updates[i]
		id := which(u)
		if m.heard[id] {
			continue // partitions come in another order each time
		}
		m.heard[id] = true
		var attributes map[string]jsontext.Value
		if err := json.Unmarshal(u.Attributes, &attributes); err != nil {
			m.s.t.Fatal(err)
		}
		user := u.User.Key()
		if m.has[user] == nil {
			m.has[user], m.sentBy[user] = map[string]string{}, map[string]string{}
		}
		m.no[id] = m.dice.IntN(5) == 0
		for name, value := range attributes {
			m.sentBy[user][name] = id
			if !m.no[id] {
				m.has[user][name] = string(value)
			}
		}
		if !m.no[id] {
			continue
		}
		no := m.s.receipt(user, receipt.Receipt{
			EventID: u.ID, Topic: m.s.config.Kafka.Topic(schema.BrazeAttributes),
			Outcome: outcome.Outcome{Kind: outcome.Refused, Reason: "item_error", Detail: "no"},
		})
		if m.dice.IntN(3) == 0 {
			m.late = append(m.late, no)
			m.unsaid[id] = true
		} else {
			receipts = append(receipts, no)
		}
	}
	return receipts
}

// forget deletes a user.
func (m *moody) forget(user string) *stream.Record {
	m.late = slices.DeleteFunc(m.late, func(r *stream.Record) bool { return string(r.Key) == user })
	delete(m.has, user)
	delete(m.sentBy, user)
	m.gone[user] = true
	return m.s.receipt(user, receipt.Receipt{EventID: "erase", Topic: "customer.events", Endpoint: "/users/delete", Outcome: outcome.Outcome{Kind: outcome.Delivered}})
}

// lacks is what has to be told of a user so that Braze has all of it: what it has refused, if nothing was told since, and
// all of somebody it does not know.
func (m *moody) lacks(user string, ought map[string]string) map[string]string {
	d := map[string]string{}
	for name, value := range ought {
		by := m.sentBy[user][name]
		if by == "" || m.no[by] || m.has[user][name] != value {
			d[name] = value
		}
	}
	return d
}

// known waits until what was refused is known to be unknown, and who was deleted is forgotten.
func (m *moody) known(users []string) {
	state := map[string][]byte{}
	m.s.read(schema.State(attributesync.Name), func() bool {
		for _, user := range users {
			value := state[user]
			if m.gone[user] && len(value) > 0 {
				return false
			}
			if len(value) == 0 {
				continue
			}
			c, err := attributesync.ReadCustomer([]byte(user), value)
			if err != nil {
				m.s.t.Fatal(err)
			}
			for _, f := range c.Fields() {
				by := m.sentBy[user][f.Name]
				if m.no[by] && !m.unsaid[by] && !strings.HasPrefix(f.Known, "unknown") {
					return false
				}
			}
		}
		return true
	}, func() { clear(state) }, func(r *stream.Record) { state[string(r.Key)] = append([]byte{}, r.Value...) })
	clear(m.gone)
}

// which names an update. Of a customer who was deleted and comes again they are numbered from the beginning.
func which(u *event.Update) string { return u.ID + " of " + u.DecidedAt.String() }

// TestWhatIsRefusedOrDeletedIsToldAgainAndNothingElse plays rounds in which Braze refuses, says so late, and deletes
// customers, while the service is stopped and started with its copy and without. When everything is said once more at
// the end, exactly what Braze lacks is told.
func TestWhatIsRefusedOrDeletedIsToldAgainAndNothingElse(t *testing.T) {
	onBoth(t, func(t *testing.T, s *scene) {
		const users, rounds = 40, 6
		dice := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 4))
		m := &moody{s: s, dice: dice, heard: map[string]bool{}, has: map[string]map[string]string{}, sentBy: map[string]map[string]string{}, no: map[string]bool{}, unsaid: map[string]bool{}, gone: map[string]bool{}}
		ought, names := map[string]map[string]string{}, []string{}
		for i := range users {
			names = append(names, fmt.Sprint("u", i))
			ought[names[i]] = map[string]string{}
		}
		r := s.start()
		accepted := 0
		for round := range rounds {
			var records []*stream.Record
			for _, user := range names {
				set := map[string]string{}
				for range 1 + dice.IntN(3) {
					name, value := string(rune('a'+dice.IntN(5))), fmt.Sprint(dice.IntN(3))
					set[name], ought[user][name] = value, value
				}
				records = append(records, s.profile(user, fmt.Sprint(user, "-", round), round, object(set)))
			}
			s.produce(records...)
			accepted += len(records)
			r.law(accepted)
			s.settled(schema.BrazeAttributes)
			receipts := m.hear(s.updates(len(m.heard)))
			if user := names[dice.IntN(users)]; round%2 == 1 {
				receipts = append(receipts, m.forget(user))
				ought[user] = map[string]string{}
			}
			s.produce(receipts...)
			m.known(names)
			if round%2 == 0 {
				r.stop()
				if round%4 == 0 {
					s.config.State.Dir = t.TempDir()
				}
				r, accepted = s.start(), 0
			}
		}
		s.produce(m.late...)
		m.late = nil
		clear(m.unsaid)
		m.known(names)
		want := map[string]map[string]string{}
		for _, user := range names {
			if lacks := m.lacks(user, ought[user]); len(lacks) > 0 {
				want[user] = lacks
			}
			s.produce(s.profile(user, user+"-again", rounds, object(ought[user])))
		}
		r.law(accepted + users)
		got := map[string]map[string]string{}
		for _, u := range s.updates(len(m.heard) + len(want)) {
			if m.heard[which(&u)] {
				continue
			}
			var attributes map[string]jsontext.Value
			if err := json.Unmarshal(u.Attributes, &attributes); err != nil {
				t.Fatal(err)
			}
			got[u.User.Key()] = map[string]string{}
			for name, value := range attributes {
				got[u.User.Key()][name] = string(value)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("told when all is said again (-want +got)\n%s", diff)
		}
		if len(want) == 0 {
			t.Error("nothing was lacking: the trial tries too little")
		}
	})
}

// object writes attributes whose values are JSON already.
func object(attributes map[string]string) string {
	var members []string
	for name, value := range attributes {
		members = append(members, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(members, ",") + "}"
}

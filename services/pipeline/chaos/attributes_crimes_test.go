package chaos

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// honest is what a blameless attribute-sync makes of a trace: batches that end anywhere, of each user's share one update.
// It is told here by brute force, so that the laws have something without a flaw to be wrong about.
func honest(seed uint64) *profiles {
	trace, dice := newTrace(seed, 40, 400), rand.New(rand.NewPCG(seed, 1))
	p := &profiles{}
	next := [partitions]int64{}
	for range 400 {
		c := trace.next()
		n := c.user % partitions
		p.changes, p.place = append(p.changes, c), append(p.place, spot{n, next[n]})
		next[n]++
	}
	people, share := map[int32]*sync1{}, map[int32][]int{}
	settle := func() {
		for _, user := range slices.Sorted(maps.Keys(share)) {
			people[user].batch(p, share[user])
		}
		clear(share)
	}
	for i := range p.changes {
		c := &p.changes[i]
		if c.refusal != "" {
			p.notices = append(p.notices, notice{p.place[i], c.refusal, true})
			continue
		}
		if people[c.user] == nil {
			people[c.user] = &sync1{}
		}
		share[c.user] = append(share[c.user], i)
		if dice.IntN(30) == 0 {
			settle()
		}
	}
	settle()
	return p
}

// sync1 is what is known of one user.
type sync1 struct {
	fields      [plain]attribute
	ought, told [plain]string
	number      int
}

// batch takes in a user's records of a batch, and tells the difference.
func (s *sync1) batch(p *profiles, records []int) {
	u := telling{user: p.changes[records[0]].name()}
	by := map[uint8]int{} // who changed a field last, of those that are not named yet
	used := map[int]bool{}
	for _, i := range records {
		c := &p.changes[i]
		for _, w := range c.writes {
			why := "not_owner"
			if w.field != tier || c.source == tierOwner {
				why = s.fields[w.field].tell(&stamped{w, c.id, c.source, c.version, c.time})
			}
			switch {
			case why != "":
				u.declined = append(u.declined, declinedWrite(c.id, c.source, attributes[w.field], why))
			case s.ought[w.field] != w.value:
				if before, pending := by[w.field]; pending {
					used[before] = true
				}
				by[w.field], s.ought[w.field] = i, w.value
			}
		}
	}
	u.attributes = differs(&s.told, &s.ought)
	for field, i := range by {
		used[i] = used[i] || u.attributes[attributes[field]] != ""
	}
	if s.told = s.ought; len(u.attributes) == 0 && len(u.declined) == 0 {
		return
	}
	for _, i := range records {
		if used[i] {
			u.causes = append(u.causes, cause{p.place[i], p.changes[i].id, p.changes[i].source})
		}
	}
	for _, value := range u.attributes {
		u.points += points(value)
	}
	s.number++
	u.spot = spot{p.place[records[0]].partition, int64(len(p.tellings))}
	u.id = fmt.Sprint(u.user, "-", s.number)
	p.tellings = append(p.tellings, u)
}

// TestTheLawsOfProfilesNoticeEachCrime: what is without a flaw has no findings, whatever the batches, and each crime has.
func TestTheLawsOfProfilesNoticeEachCrime(t *testing.T) {
	told := func(p *profiles, nth int) int { // an update that tells something
		for i := range p.tellings {
			if len(p.tellings[i].attributes) > 0 {
				if nth--; nth < 0 {
					return i
				}
			}
		}
		t.Fatal("nothing is told")
		return 0
	}
	for _, tc := range []struct {
		name  string
		crime func(p *profiles)
		want  string // law; none where it is empty
	}{
		{"nothing", func(*profiles) {}, ""},
		{"an update is lost", func(p *profiles) { i := told(p, 30); p.tellings = slices.Delete(p.tellings, i, i+1) }, Untold},
		{"an update comes twice", func(p *profiles) {
			again := p.tellings[told(p, 30)]
			again.id += "again"
			p.tellings = append(p.tellings, again)
		}, Causes},
		{"an update comes twice under one id", func(p *profiles) { p.tellings = append(p.tellings, p.tellings[told(p, 30)]) }, Strange},
		{"what Braze has is told again beside what differs", func(p *profiles) {
			for i := range p.tellings {
				for j := i - 1; j >= 0; j-- {
					before, after := &p.tellings[j], &p.tellings[i]
					if before.user != after.user || len(before.attributes) == 0 || len(after.attributes) == 0 {
						continue
					}
					for name, value := range before.attributes {
						if _, too := after.attributes[name]; !too {
							after.attributes[name] = value
							after.points += points(value)
							return
						}
					}
					break
				}
			}
			t.Fatal("nobody is told twice")
		}, Repeated},
		{"a value is another", func(p *profiles) {
			for name := range p.tellings[told(p, 30)].attributes {
				p.tellings[told(p, 30)].attributes[name] = `"other"`
				return
			}
		}, Untold},
		{"two updates have changed places", func(p *profiles) {
			for i := range p.tellings {
				for j := range i {
					a, b := &p.tellings[j], &p.tellings[i]
					if a.user == b.user && len(a.attributes) > 0 && len(b.attributes) > 0 {
						*a, *b = *b, *a
						return
					}
				}
			}
		}, Disordered},
		{"a cause is left out", func(p *profiles) { u := &p.tellings[told(p, 30)]; u.causes = u.causes[1:] }, Untold},
		{"a record that changes nothing is named", func(p *profiles) {
			u := &p.tellings[told(p, 0)]
			of := &person{name: u.user}
			for i := range p.changes {
				if p.changes[i].name() == u.user && p.changes[i].refusal == "" {
					of.records = append(of.records, int32(i))
				}
			}
			for i, s := range p.steps(of) {
				if r := of.records[i]; len(s.changes) == 0 {
					u.causes = append(u.causes, cause{p.place[r], p.changes[r].id, p.changes[r].source})
					return
				}
			}
			t.Fatal("all of them change something")
		}, Causes},
		{"a data point too many", func(p *profiles) { p.tellings[told(p, 30)].points++ }, Overpaid},
		{"a loss that is not explained", func(p *profiles) {
			for i := range p.tellings {
				if len(p.tellings[i].declined) > 0 {
					p.tellings[i].declined = nil
					return
				}
			}
		}, Explained},
		{"a dead letter is lost", func(p *profiles) { p.notices = p.notices[1:] }, Refused},
		{"a dead letter comes twice", func(p *profiles) { p.notices = append(p.notices, p.notices[0]) }, Refused},
		{"a dead letter is not what was refused", func(p *profiles) { p.notices[0].same = false }, Refused},
		{"a record is not committed", func(p *profiles) { p.held = 1 }, Lost},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for seed := range uint64(20) {
				p := honest(seed)
				if len(p.notices) == 0 {
					continue
				}
				tc.crime(p)
				p.check()
				if tc.want == "" && len(p.findings) > 0 {
					t.Fatalf("seed %d:\n%s", seed, p)
				}
				if tc.want != "" && !slices.ContainsFunc(p.findings, func(f Finding) bool { return f.Law == tc.want }) {
					t.Fatalf("seed %d: nothing %s was found:\n%s", seed, tc.want, p)
				}
			}
		})
	}
}

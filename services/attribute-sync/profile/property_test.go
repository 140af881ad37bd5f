package profile

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

const someGroup = "00000000-0000-4000-8000-000000000001"

// fieldsOf says what the fields of the stories are: p plain, o nested, t arrays, n integers, and groups.
var fieldsOf = []string{"p0", "p1", "o0", "t0", "t1", "n0", "n1", groupPrefix + someGroup}

var values = map[byte][]string{
	'p': {`"a"`, `"b"`, `1`, `1.5`, `true`, `null`},
	'o': {`{"a":1}`, `{"a":1,"b":{"c":"x"}}`, `{"a":2}`, `null`},
	't': {`[]`, `["a"]`, `["a","b"]`, `["c",1]`, `null`},
	'n': {`0`, `1`, `10`, `null`},
	's': {`"subscribed"`, `"unsubscribed"`},
}

var elements = []string{`"a"`, `"b"`, `"c"`, `1`, `true`}

// story is a number of writes, each a record of its own, and how they are spelled on the topic.
type story struct{ rand *rand.Rand }

func (s *story) pick(words []string) string { return words[s.rand.IntN(len(words))] }

// write makes up what a record says, but for who says it.
func (s *story) write(id int) told {
	w := told{field: s.pick(fieldsOf), id: fmt.Sprint("e", id), verb: set}
	w.value = s.pick(values[w.field[0]])
	switch dice := s.rand.IntN(3); {
	case w.field[0] == 't' && dice == 0:
		w.verb, w.value = add, s.pick(elements)
	case w.field[0] == 't' && dice == 1:
		w.verb, w.value = remove, s.pick(elements)
	case w.field[0] == 'n' && dice > 0:
		w.verb, w.n = increment, int64(s.rand.IntN(7)-3)
	}
	return w
}

// record is the write as a record.
func (w *told) record() *event.Profile {
	p := &event.Profile{ID: w.id, Source: w.source, OccurredAt: start.Add(time.Duration(w.time) * time.Second)}
	if w.version != 0 {
		p.Version = &w.version
	}
	member := fmt.Sprintf(`{%q:%s}`, w.field, w.value)
	group, isGroup := strings.CutPrefix(w.field, groupPrefix)
	switch {
	case isGroup:
		p.Subscriptions = []event.Subscription{{GroupID: group, State: strings.Trim(w.value, `"`)}}
	case w.verb == add:
		p.Add = fmt.Appendf(nil, `{%q:[%s]}`, w.field, w.value)
	case w.verb == remove:
		p.Remove = fmt.Appendf(nil, `{%q:[%s]}`, w.field, w.value)
	case w.verb == increment:
		p.Increment = fmt.Appendf(nil, `{%q:%d}`, w.field, w.n)
	case w.value == "null" && w.time%2 == 0:
		p.Unset = []string{w.field}
	default:
		p.Set = []byte(member)
	}
	return p
}

// want is the profile that the models ask for.
func want(models map[string]*model) sandbox {
	p := sandbox{}
	for name, m := range models {
		value := m.value()
		if strings.HasPrefix(name, groupPrefix) {
			value = strings.Trim(value, `"`)
		}
		if value != "" {
			p[name] = value
		}
	}
	return p
}

// like leaves out arrays that were emptied value by value. Had the values been taken out before they were
// put in, there would be none instead of an empty one, and to anybody who asks what is in it that is the
// same.
func like(models map[string]*model, has sandbox) sandbox {
	p := maps.Clone(has)
	maps.DeleteFunc(p, func(name, value string) bool {
		return value == "[]" && len(models[name].ops) > 0 && models[name].value() == ""
	})
	return p
}

// pointsOf is what it costs to set a field that is no array and no number from one value to another.
func pointsOf(name, from, to string, everSent bool) int64 {
	switch {
	case name[0] == 's' || everSent && from == to:
		return 0
	case name[0] == 'o' && strings.Contains(to, "c"):
		return 2
	}
	return 1
}

// TestAnyInterleavingEndsAsTheRulesSay plays stories in which clocks lie, versions go astray, everything
// is repeated and windows end anywhere. What Braze has at the end of each window must be what a model
// says that knows all values, and cost what differs between windows.
func TestAnyInterleavingEndsAsTheRulesSay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		s := &story{rand.New(rand.NewPCG(seed, 1))}
		u, models, has := newUser(t, nil), map[string]*model{}, sandbox{}
		everSent := map[string]bool{}
		var past []told
		for id := range 60 {
			w := s.write(id)
			w.source, w.time = s.pick([]string{"crm", "shop", "zoo"}), int64(s.rand.IntN(8))
			if w.source == "crm" || w.source == "shop" && s.rand.IntN(2) == 0 {
				w.version = int64(1 + s.rand.IntN(5))
			}
			if len(past) > 0 && s.rand.IntN(4) == 0 {
				w = past[s.rand.IntN(len(past))]
			}
			past = append(past, w)
			if models[w.field] == nil {
				models[w.field] = &model{}
			}
			models[w.field].tell(w)
			if refusal := u.apply(w.record()); refusal != nil {
				t.Fatalf("seed %d: %v", seed, refusal)
			}
			if s.rand.IntN(4) > 0 {
				continue
			}
			before := maps.Clone(has)
			d := u.end()
			for _, o := range d.Objects {
				has.apply(t, o.Attributes)
			}
			if diff := cmp.Diff(want(models), like(models, has)); diff != "" {
				t.Fatalf("seed %d after %d: Braze has what it ought not to have (-want +got)\n%s\n%v", seed, id, diff, past)
			}
			cost := map[string]int64{}
			for _, c := range d.Counts {
				if c.Fate == Sent {
					cost[c.Field] += c.Points
				}
			}
			for name := range models {
				if name[0] == 't' || name[0] == 'n' {
					continue
				}
				if points := pointsOf(name, before[name], has[name], everSent[name]); cost[name] != points {
					t.Fatalf("seed %d after %d: %s went from %q to %q for %d, want %d", seed, id, name, before[name], has[name], cost[name], points)
				}
				everSent[name] = true
			}
		}
	}
}

// TestHonestClocksEndTheSameInAnyOrder delivers the same records in another order each time, with
// repeats, and with updates that Braze refuses and that are repeated afterwards. Where each source's
// clock and versions only go forward, the newest write of all stands at the end.
func TestHonestClocksEndTheSameInAnyOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		s := &story{rand.New(rand.NewPCG(seed, 2))}
		var writes []told
		for id := range 40 {
			w := s.write(id)
			w.source, w.time = s.pick([]string{"crm", "shop", "zoo"}), int64(id-s.rand.IntN(2))
			if len(writes) > 0 && writes[len(writes)-1].source == w.source {
				w.time = int64(id)
			}
			if w.source != "zoo" {
				w.version = w.time + 1
			}
			writes = append(writes, w)
		}
		ordered := slices.Clone(writes)
		slices.SortFunc(ordered, func(a, b told) int {
			if a.time != b.time {
				return int(a.time - b.time)
			}
			return strings.Compare(a.source, b.source)
		})
		models := map[string]*model{}
		for _, w := range ordered {
			if models[w.field] == nil {
				models[w.field] = &model{}
			}
			models[w.field].tell(w)
		}
		ideal := want(models)
		for range 3 {
			u, has, refused := newUser(t, nil), sandbox{}, s.rand.IntN(2) == 0
			deliver := func(refusing bool) {
				s.rand.Shuffle(len(writes), func(i, j int) { writes[i], writes[j] = writes[j], writes[i] })
				for i, w := range writes {
					for range 1 + s.rand.IntN(2) {
						if refusal := u.apply(w.record()); refusal != nil {
							t.Fatalf("seed %d: %v", seed, refusal)
						}
					}
					if s.rand.IntN(3) > 0 && i < len(writes)-1 {
						continue
					}
					d := u.end()
					if refusing && s.rand.IntN(3) == 0 {
						u.state.Forget(d.Number, 0)
						continue
					}
					for _, o := range d.Objects {
						has.apply(t, o.Attributes)
					}
				}
			}
			if deliver(refused); refused {
				deliver(false)
			}
			if diff := cmp.Diff(ideal, like(models, has)); diff != "" {
				t.Fatalf("seed %d, refused %v: (-want +got)\n%s", seed, refused, diff)
			}
		}
	}
}

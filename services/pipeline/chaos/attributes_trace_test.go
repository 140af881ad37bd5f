package chaos

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// attributes are those that there are. In the trace every source states all that are plain whenever it says
// anything, as enterprise systems do; tier alone has an owner.
var attributes = [...]string{"plan", "city", "score", "vip", "home", "tier", "tags", "visits", "newsletter"}

const (
	tier      = 5
	plain     = 6 // so many are only ever set
	tags      = 6
	visits    = 7
	letters   = 8 // of subscriptions
	tierOwner = "loyalty"

	newsletter = "9e2f6a44-71b8-4c55-9a0b-2f1d8c3e5a10" // the group's id

	ownedFields = "fields:\n  - {name: tier, owner: loyalty}\n"
)

// possible are the values of each attribute.
var possible = [len(attributes)][]string{
	{`"free"`, `"basic"`, `"pro"`, `null`},
	{`"Wien"`, `"Graz"`, `"Linz"`, `"Steyr"`},
	{`0`, `1`, `17`, `820982911946154508`},
	{`true`, `false`},
	{`{"zip":"1010","geo":{"lat":48.2}}`, `{"zip":"8010"}`, `{"zip":"4020"}`, `null`},
	{`"silver"`, `"gold"`},
	{`[]`, `["a"]`, `["a","b"]`, `["c",1]`, `null`},
	{`0`, `10`, `null`},
	{`"subscribed"`, `"unsubscribed"`},
}

// trace makes up records: mostly repeats, of sources with versions and without, with clocks that are honest and
// clocks that are not, some late, some twice, and a few that Braze would never take.
type trace struct {
	dice   *rand.Rand
	people []customer
	began  time.Time
	step   time.Duration // between two records
	made   int
	recent [8]int32 // whose records came last: bursts fold
}

type customer struct {
	values   [plain]uint8 // as their sources see them
	versions [2]int64     // of crm and loyalty
	last     change
}

func newTrace(seed uint64, users, updates int) *trace {
	const long = 20 * time.Hour
	return &trace{
		dice: rand.New(rand.NewPCG(seed, 7)), people: make([]customer, users),
		began: time.Now().Add(-long - 2*time.Hour), step: long / time.Duration(updates),
	}
}

// next makes up a record.
func (t *trace) next() change {
	t.made++
	who := int32(t.dice.IntN(len(t.people)))
	if t.dice.IntN(5) == 0 {
		who = t.recent[t.dice.IntN(len(t.recent))]
	}
	t.recent[t.made%len(t.recent)] = who
	p := &t.people[who]
	if p.last.id != "" && t.dice.IntN(33) == 0 {
		return p.last // at least once, says whoever delivers
	}
	c := change{user: who, id: strconv.Itoa(t.made), time: t.began.Add(time.Duration(t.made) * t.step).UnixMilli()}
	if t.dice.IntN(9) == 0 {
		i := t.dice.IntN(plain)
		p.values[i] = uint8(t.dice.IntN(len(possible[i])))
	}
	values := p.values
	late := t.dice.IntN(33) == 0 // what was so long ago, told now
	if late {
		for i := range values {
			values[i] = uint8(t.dice.IntN(len(possible[i])))
		}
		c.time -= t.dice.Int64N((3 * time.Hour).Milliseconds())
	}
	switch dice := t.dice.IntN(20); {
	case p.last.id == "": // whoever has a tier is told of first by those who give it
		c.source, c.version = tierOwner, p.version(1, late, t.dice)
	case dice < 10:
		c.source, c.version = "crm", p.version(0, late, t.dice)
	case dice < 13:
		c.source, c.version = tierOwner, p.version(1, late, t.dice)
	case dice < 17:
		c.source = "shop"
	default: // a clock that nobody looks after
		c.source = "legacy"
		c.time += t.dice.Int64N((20 * time.Minute).Milliseconds()) - (15 * time.Minute).Milliseconds()
	}
	for i := range plain {
		if i != tier || c.source == tierOwner || t.dice.IntN(100) == 0 {
			c.writes = append(c.writes, write{field: uint8(i), value: possible[i][values[i]]})
		}
	}
	switch t.dice.IntN(1000) {
	case 0, 1:
		c.refusal = "invalid"
	case 2:
		c.refusal = "not_avro"
	default:
		p.last = c
	}
	return c
}

// version is the source's next, or an old one.
func (p *customer) version(of int, late bool, dice *rand.Rand) int64 {
	if late && p.versions[of] > 0 {
		return 1 + dice.Int64N(p.versions[of])
	}
	p.versions[of]++
	return p.versions[of]
}

// name is the user's external id.
func (c *change) name() string { return fmt.Sprintf("c%06d", c.user) }

// record is the change as it is produced.
func (c *change) record() *event.Profile {
	p := &event.Profile{ID: c.id, User: event.User{ExternalID: c.name()}, Source: c.source, OccurredAt: time.UnixMilli(c.time), ReceivedAt: time.UnixMilli(c.time)}
	if c.version != 0 {
		p.Version = &c.version
	}
	var sets, adds, removes, incs []string
	for _, w := range c.writes {
		name := attributes[w.field]
		switch {
		case w.field == letters:
			p.Subscriptions = append(p.Subscriptions, event.Subscription{GroupID: newsletter, State: strings.Trim(w.value, `"`)})
			continue
		case w.verb == set && w.value == "null" && c.time%2 == 0:
			p.Unset = append(p.Unset, name)
			continue
		}
		switch w.verb {
		case set:
			sets = append(sets, fmt.Sprintf("%q:%s", name, w.value))
		case add:
			adds = append(adds, fmt.Sprintf("%q:[%s]", name, w.value))
		case remove:
			removes = append(removes, fmt.Sprintf("%q:[%s]", name, w.value))
		case increment:
			incs = append(incs, fmt.Sprintf("%q:%d", name, w.n))
		}
	}
	if c.refusal == "invalid" {
		sets = append(sets, `"country":"Austria"`)
	}
	p.Set, p.Add, p.Remove, p.Increment = object(sets), object(adds), object(removes), object(incs)
	return p
}

func object(members []string) []byte {
	if members == nil {
		return nil
	}
	return []byte("{" + strings.Join(members, ",") + "}")
}

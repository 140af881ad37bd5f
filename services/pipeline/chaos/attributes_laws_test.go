package chaos

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// spot is where a record stands on its topic.
type spot struct {
	partition int32
	offset    int64
}

// telling is a record of braze.attributes, as the laws need it.
type telling struct {
	spot
	id         string
	user       string
	attributes map[string]string // nil for none
	points     int64
	causes     []cause
	declined   []string // id, source, field and reason
}

type cause struct {
	spot
	id, source string
}

// notice is a dead letter.
type notice struct {
	origin spot
	reason string
	same   bool // its bytes are those of the record
}

// The laws of attribute-sync.
const (
	Untold     = "untold"     // what differs was not told, or something else was
	Repeated   = "repeated"   // what Braze has already was told
	Causes     = "causes"     // a record is named twice, in the wrong place, or without having changed anything
	Overpaid   = "overpaid"   // data points that do not add up
	Explained  = "explained"  // a write that lost is not explained, or one that did not is
	Refused    = "refused"    // dead letters that are not one for each record that has to be
	Disordered = "disordered" // a user's records out of order
)

// profiles holds what attribute-sync wrote to what the naive model makes of its input.
type profiles struct {
	changes  []change // in the order in which they were produced
	place    []spot   // of each
	at       map[spot]int32
	tellings []telling // of each partition in its order
	notices  []notice
	held     int // records that nobody has committed

	findings []Finding
	sum      accounts
}

// accounts are the law in numbers.
type accounts struct {
	records, delivered, unchanged, stale, notOwner, refused, held int
	later, repeats                                                int // records that are not a user's first, and those that change nothing
	updates, folds, points                                        int64
	silent                                                        int // changes and changes back within a batch, of which nobody was told
}

func (p *profiles) broken(law, format string, args ...any) {
	p.findings = append(p.findings, Finding{law, fmt.Sprintf(format, args...)})
}

// person is what there is of one user.
type person struct {
	name    string
	records []int32 // indexes of changes, in the topic's order
	told    []int   // indexes of tellings, likewise
}

// check finds everything that is wrong.
func (p *profiles) check() {
	p.sum = accounts{records: len(p.changes), held: p.held}
	p.at = make(map[spot]int32, len(p.place))
	people := map[string]*person{}
	for i := range p.changes {
		p.at[p.place[i]] = int32(i)
		if p.changes[i].refusal != "" {
			continue
		}
		name := p.changes[i].name()
		if people[name] == nil {
			people[name] = &person{name: name}
		}
		people[name].records = append(people[name].records, int32(i))
	}
	ids := map[string]int{}
	for i := range p.tellings {
		t := &p.tellings[i]
		if first, twice := ids[t.id]; twice {
			p.broken(Strange, "%s: update %s stands at %v and at %v", t.user, t.id, p.tellings[first].spot, t.spot)
		}
		ids[t.id] = i
		of := people[t.user]
		if of == nil {
			p.broken(Strange, "update %s is of %s, whom nobody has told of", t.id, t.user)
			continue
		}
		of.told = append(of.told, i)
	}
	for _, name := range slices.Sorted(maps.Keys(people)) {
		p.checkPerson(people[name])
	}
	p.checkNotices()
}

// step is what a record does to its user's profile, told the naive way.
type step struct {
	changes []write // those that made a difference to what stood
	lost    []string
	after   [plain]string
}

// steps follows a user's records one by one.
func (p *profiles) steps(of *person) []step {
	var fields [plain]attribute
	var now [plain]string
	steps := make([]step, len(of.records))
	for i, r := range of.records {
		c := &p.changes[r]
		for _, w := range c.writes {
			if w.field == tier && c.source != tierOwner {
				steps[i].lost = append(steps[i].lost, declinedWrite(c.id, c.source, attributes[w.field], "not_owner"))
				continue
			}
			if why := fields[w.field].tell(&stamped{w, c.id, c.source, c.version, c.time}); why != "" {
				steps[i].lost = append(steps[i].lost, declinedWrite(c.id, c.source, attributes[w.field], why))
				continue
			}
			if now[w.field] == w.value {
				continue
			}
			now[w.field] = w.value
			steps[i].changes = append(steps[i].changes, w)
		}
		steps[i].after = now
		if i > 0 {
			p.sum.later++
			if len(steps[i].changes) == 0 {
				p.sum.repeats++
			}
		}
	}
	return steps
}

func declinedWrite(id, source, field, reason string) string {
	return strings.Join([]string{id, source, field, reason}, " ")
}

// checkPerson holds a user's updates to their records.
func (p *profiles) checkPerson(of *person) {
	steps := p.steps(of)
	index := map[int32]int{}
	for i, r := range of.records {
		index[r] = i
	}
	named := make([]int, len(steps)) // by which telling, counted from 1
	var lost, explained []string
	var tell []window
	for n, t := range of.told {
		explained = append(explained, p.tellings[t].declined...)
		if w, ok := p.window(of, t, n, index, steps, named); ok {
			tell = append(tell, w)
		}
	}
	for i := range steps {
		lost = append(lost, steps[i].lost...)
	}
	p.follow(of, steps, named, tell)
	p.compare(of, lost, explained)
	for i := range steps {
		switch {
		case named[i] > 0:
			p.sum.delivered++
		case len(steps[i].lost) == 0:
			p.sum.unchanged++
		case strings.HasSuffix(steps[i].lost[0], "stale"):
			p.sum.stale++
		default:
			p.sum.notOwner++
		}
	}
}

// compare wants each write that lost explained, and no other. A record that comes twice in one batch is explained once.
func (p *profiles) compare(of *person, lost, explained []string) {
	left := map[string]int{}
	for _, w := range lost {
		left[w]++
	}
	said := map[string]bool{}
	for _, w := range explained {
		if left[w]--; left[w] < 0 {
			p.broken(Explained, "%s: %q is explained, and has not lost so often", of.name, w)
		}
		said[w] = true
	}
	for _, w := range slices.Compact(slices.Sorted(slices.Values(lost))) {
		if !said[w] {
			p.broken(Explained, "%s: nobody says why %q has lost", of.name, w)
		}
	}
}

// window is what an update says of where it was folded: its first and last cause among the user's records.
type window struct {
	telling     int
	first, last int
}

// window reads an update's causes.
func (p *profiles) window(of *person, t, n int, index map[int32]int, steps []step, named []int) (w window, ok bool) {
	u := &p.tellings[t]
	p.sum.updates++
	p.sum.points += u.points
	p.sum.folds += max(0, int64(len(u.causes)-1))
	w = window{t, -1, -1}
	for _, c := range u.causes {
		r, known := p.at[c.spot]
		i, theirs := index[r]
		switch {
		case !known || !theirs || c.spot.partition != u.spot.partition:
			p.broken(Causes, "%s: update %s names %v, which is none of theirs", of.name, u.id, c.spot)
			continue
		case c.id != p.changes[r].id || c.source != p.changes[r].source:
			p.broken(Causes, "%s: update %s calls %v %s of %s", of.name, u.id, c.spot, c.id, c.source)
		case named[i] != 0:
			p.broken(Causes, "%s: record %v is named twice", of.name, c.spot)
		case i <= w.last:
			p.broken(Disordered, "%s: update %s names its causes out of order", of.name, u.id)
		case len(steps[i].changes) == 0:
			p.broken(Causes, "%s: update %s names %v, which changes nothing", of.name, u.id, c.spot)
		}
		named[i] = n + 1
		if w.first < 0 {
			w.first = i
		}
		w.last = max(w.last, i)
	}
	if w.first < 0 && len(u.attributes) > 0 {
		p.broken(Causes, "%s: update %s tells %v of nothing", of.name, u.id, u.attributes)
	}
	return w, w.first >= 0
}

// follow lets the updates happen to an empty profile, one after the other, and compares what they tell with what
// differs then.
func (p *profiles) follow(of *person, steps []step, named []int, tell []window) {
	var braze [plain]string
	next := 0 // record behind the window before
	for k, w := range tell {
		u := &p.tellings[w.telling]
		if w.first < next {
			p.broken(Disordered, "%s: update %s comes of records before those of the update before", of.name, u.id)
		}
		limit := len(steps)
		if k+1 < len(tell) {
			limit = max(tell[k+1].first, w.last+1)
		}
		// What was changed back at the window's end is named by nobody, so the window may reach behind its last cause.
		end := w.last
		for end+1 < limit && !maps.Equal(differs(&braze, &steps[end].after), u.attributes) {
			end++
		}
		want := differs(&braze, &steps[end].after)
		if !maps.Equal(want, u.attributes) {
			end = w.last
			p.wrong(of, u, &braze, differs(&braze, &steps[end].after))
		}
		var cost int64
		for _, value := range u.attributes {
			cost += points(value)
		}
		if cost != u.points {
			p.broken(Overpaid, "%s: update %s has %d data points, and Braze charges %d", of.name, u.id, u.points, cost)
		}
		p.silence(of, steps, named, next, w.first, end, &braze)
		for name, value := range u.attributes {
			if i := slices.Index(attributes[:plain], name); i >= 0 {
				braze[i] = value
			}
		}
		next = end + 1
	}
	p.silence(of, steps, named, next, len(steps), len(steps)-1, &braze)
	if len(steps) > 0 && braze != steps[len(steps)-1].after {
		p.broken(Untold, "%s ends as %q, and ought to as %q", of.name, braze, steps[len(steps)-1].after)
	}
}

// wrong says what is wrong with an update that is not the difference.
func (p *profiles) wrong(of *person, u *telling, braze *[plain]string, want map[string]string) {
	for name, value := range u.attributes {
		i := slices.Index(attributes[:plain], name)
		if i >= 0 && braze[i] == value {
			p.broken(Repeated, "%s: update %s tells %s %s, which Braze has", of.name, u.id, name, value)
		}
	}
	p.broken(Untold, "%s: update %s tells %v, and ought to tell %v", of.name, u.id, u.attributes, want)
}

// silence looks at the records of a window, from the first of them up to the window's end, that no update names: what
// they change must be what Braze has, or have been changed back before the first record that is named.
func (p *profiles) silence(of *person, steps []step, named []int, from, first, end int, braze *[plain]string) {
	for i := from; i <= end; i++ {
		if named[i] != 0 || len(steps[i].changes) == 0 {
			continue
		}
		p.sum.silent++
		for _, w := range steps[i].changes {
			if w.value == braze[w.field] || i < first && steps[first-1].after[w.field] == braze[w.field] {
				continue
			}
			p.broken(Untold, "%s: record %v sets %s to %s, and nobody tells Braze", of.name, p.place[of.records[i]], attributes[w.field], w.value)
		}
	}
}

// differs is what Braze has to be told so that it has what it ought to.
func differs(braze, ought *[plain]string) map[string]string {
	d := map[string]string{}
	for i := range ought {
		if ought[i] != braze[i] {
			d[attributes[i]] = ought[i]
		}
	}
	return d
}

// checkNotices wants one dead letter for each record that nobody can use, and none for others.
func (p *profiles) checkNotices() {
	seen := map[spot]bool{}
	for _, n := range p.notices {
		i, known := p.at[n.origin]
		switch {
		case !known || p.changes[i].refusal != n.reason:
			p.broken(Refused, "a dead letter %q of %v", n.reason, n.origin)
		case seen[n.origin]:
			p.broken(Refused, "two dead letters of %v", n.origin)
		case !n.same:
			p.broken(Refused, "the dead letter of %v has other bytes than the record", n.origin)
		}
		seen[n.origin] = true
	}
	p.sum.refused = len(seen)
	for i := range p.changes {
		if p.changes[i].refusal != "" && !seen[p.place[i]] {
			p.broken(Refused, "no dead letter of %v", p.place[i])
		}
	}
	s := &p.sum
	if accounted := s.delivered + s.unchanged + s.stale + s.notOwner + s.refused + s.held; accounted != s.records {
		p.broken(Lost, "%d records, of which %d are accounted for", s.records, accounted)
	}
}

// String is the report for a person.
func (p *profiles) String() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s "+format+"\n", append([]any{name}, args...)...)
	}
	s := &p.sum
	row("records", "%d = %d delivered + %d skipped (%d unchanged, %d stale, %d not_owner) + %d refused + %d held",
		s.records, s.delivered, s.unchanged+s.stale+s.notOwner, s.unchanged, s.stale, s.notOwner, s.refused, s.held)
	row("repeats", "%.1f%% of the records that are not a user's first change nothing", 100*float64(s.repeats)/float64(max(1, s.later)))
	row("updates", "%d with %d data points, the fewest there can be; %d records folded, %d changed and changed back unheard",
		s.updates, s.points, s.folds, s.silent)
	b.WriteString(listed(p.findings, "each difference told once, none repeated, everybody's in order"))
	return b.String()
}

// listed spells findings out, some of each law.
func listed(findings []Finding, none string) string {
	if len(findings) == 0 {
		return "  " + none + "\n"
	}
	findings = slices.Clone(findings)
	slices.SortStableFunc(findings, func(a, b Finding) int { return cmp.Compare(a.Law, b.Law) })
	var b strings.Builder
	told := map[string]int{}
	for _, f := range findings {
		if told[f.Law]++; told[f.Law] <= shown {
			fmt.Fprintf(&b, "  BROKEN %s: %s\n", f.Law, f.Detail)
		}
	}
	for _, law := range slices.Sorted(maps.Keys(told)) {
		fmt.Fprintf(&b, "  %d findings about %s\n", told[law], law)
	}
	return b.String()
}

// members reads an attributes object, each value in its compact form.
func members(object []byte) (map[string]string, error) {
	if object == nil {
		return nil, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(object, &raw); err != nil {
		return nil, err
	}
	m := make(map[string]string, len(raw))
	for name, value := range raw {
		var b bytes.Buffer
		if err := json.Compact(&b, value); err != nil {
			return nil, err
		}
		m[name] = b.String()
	}
	return m, nil
}

package poll

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// known remembers every item of a source that is read whole, so that what has not changed makes no
// record, and what is missing is noticed. It stands on the topic in parts beside the checkpoint, written
// at the end of a round.
type known struct {
	items map[string]*sighting
	dirty [parts]bool
	full  bool // there are more items than can be remembered
}

const (
	parts    = 64
	maxKnown = 500_000
	// Guard: when so much is missing at once, it is more likely that their answer is wrong.
	guardShare = 2
	guardFrom  = 20
	// mourning is how long what is gone is remembered, in seconds: longer than anybody remembers event ids.
	mourning = 30 * 24 * 60 * 60
	// noStamp is that of no item.
	noStamp stamp = 0
)

// sighting is what an item was like when it was last seen.
type sighting struct {
	Stamp stamp `json:"v,string"` // noStamp where nobody can say
	// Gone says that it was told to be no more. It is remembered for a while, since it may come back as
	// what it was.
	Gone bool `json:"g,omitzero"`
	// Missed is when the first round began that did not show it, in seconds since 1970.
	Missed int64 `json:"m,omitzero"`

	round int64 // when the last round began that showed it, likewise
}

func newKnown() *known { return &known{items: map[string]*sighting{}} }

func partOf(id string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id)) // a hash takes everything
	return int(h.Sum32() % parts)
}

// same reports whether the item was like that when it was last seen, and that it was seen now.
func (k *known) same(id string, v stamp, round int64) bool {
	s := k.items[id]
	if s == nil {
		return false
	}
	s.round = round
	if s.Missed != 0 {
		s.Missed, k.dirty[partOf(id)] = 0, true
	}
	return s.Stamp == v
}

// put remembers an item that has become records, and returns the stamp of what was told of it before.
func (k *known) put(id string, v stamp, gone bool, round int64) (before stamp) {
	s := k.items[id]
	switch {
	case s != nil:
		before = s.Stamp
	case len(k.items) >= maxKnown:
		k.full = true
		return noStamp
	}
	k.items[strings.Clone(id)] = &sighting{Stamp: v, Gone: gone, round: round} // not all of what it was read from
	k.dirty[partOf(id)] = true
	return before
}

// has reports whether anything is remembered of the item.
func (k *known) has(id string) bool { return k != nil && k.items[id] != nil }

// retold reports whether what is to be told of the item may be what was told before something else was: then
// its event id must be a new one, or a repeat is what everybody behind us takes it for.
func (k *known) retold(it *webhook.Item) bool {
	if !k.has(it.ID) {
		return false
	}
	s := k.items[it.ID]
	return it.Hashed || s.Gone != it.Gone || s.Stamp == noStamp && s.Missed != 0
}

// missing are the ids that this round over everything, and one before it, have not shown. bury takes note of
// that, once something has come of it. An id that is missing for the first time is noted: items can slip
// through between two pages. suspicious says that too many are missing to believe it; then nothing is
// noted.
func (k *known) missing(round int64) (gone map[string]int64, suspicious bool) {
	gone = map[string]int64{}
	var first []string
	living := 0
	for id, s := range k.items {
		if !s.Gone {
			living++
		}
		switch {
		case s.round == round:
		case s.Gone && s.Missed != 0 && round-s.Missed > mourning:
			k.forget(id)
		case s.Gone && s.Missed == 0: // which its own last word said
			s.Missed, k.dirty[partOf(id)] = round, true
		case s.Gone:
		case s.Missed != 0 && s.Missed != round:
			gone[id] = s.Missed
		default:
			first = append(first, id)
		}
	}
	if n := len(gone) + len(first); n >= guardFrom && n*guardShare > living {
		return nil, true
	}
	for _, id := range first {
		k.items[id].Missed, k.dirty[partOf(id)] = round, true
	}
	return gone, false
}

// gone are the ids that a feed has not shown. What has been gone for long is forgotten.
func (k *known) gone(round int64) map[string]int64 {
	all := map[string]int64{}
	for id, s := range k.items {
		switch {
		case s.Gone && round-s.Missed > mourning:
			k.forget(id)
		case s.Gone, s.round == round:
		default:
			all[id] = round
		}
	}
	return all
}

// bury notes that an item was told to be gone, and returns the stamp of what was told of it before.
func (k *known) bury(id string, round int64) (before stamp) {
	s := k.items[id]
	before = s.Stamp
	s.Stamp, s.Gone, s.Missed, k.dirty[partOf(id)] = noStamp, true, round, true
	return before
}

func (k *known) forget(id string) {
	delete(k.items, id)
	k.dirty[partOf(id)] = true
}

// part is a part of known as it stands on the topic, under the source's name and the part's number.
type part struct {
	Epoch int64                `json:"epoch"`
	Items map[string]*sighting `json:"items"`
}

// changed are the parts that are not on the topic as they are here.
func (k *known) changed(epoch int64) (map[int][]byte, error) {
	all := map[int]*part{}
	for n, dirty := range k.dirty {
		if dirty {
			all[n] = &part{epoch, map[string]*sighting{}}
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	for id, s := range k.items {
		if p := all[partOf(id)]; p != nil {
			p.Items[id] = s
		}
	}
	texts := map[int][]byte{}
	for n, p := range all {
		text, err := json.Marshal(p, json.Deterministic(true))
		if err != nil {
			return nil, fmt.Errorf("encoding known items: %w", err)
		}
		texts[n] = text
	}
	return texts, nil
}

func (k *known) saved() { k.dirty = [parts]bool{} }

// load takes in a part from the topic, in the place of an earlier one.
func (k *known) load(n int, p part) {
	for id := range k.items {
		if partOf(id) == n {
			delete(k.items, id)
		}
	}
	for id, s := range p.Items {
		if s != nil && partOf(id) == n {
			k.items[id] = s
		}
	}
}

// partKey is the key of a part's record.
func partKey(source string, n int) string { return source + "/known/" + strconv.Itoa(n) }

// sorted ids, so that a repeat makes the same records in the same order.
func sorted(gone map[string]int64) []string {
	ids := make([]string, 0, len(gone))
	for id := range gone {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

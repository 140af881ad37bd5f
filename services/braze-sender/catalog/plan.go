package catalog

import (
	"maps"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// flight is one thing to do: a request, or several where one has to be halved, with what becomes of it.
type flight struct {
	book  *book
	body  braze.Body // that makes the catalog or adds fields; nil for one about items
	names []string   // of the fields that it adds
	// doubted are those of them that Braze may have already: an earlier request was not answered.
	doubted  map[string]bool
	standing standing // of the catalog, as it is while the request is under way, and then afterwards
	kind     kind     // of one about items
	loads    []load
	fresh    bool // Braze may not know fields yet that it has accepted

	// What became of it, once it has landed.

	answer  braze.Answer // the last
	done    bool         // of one about the catalog itself: Braze has it, or the fields
	lost    bool         // the catalog does not exist
	early   bool         // Braze did not know fields yet
	stopped bool         // whatever is asked, the answer is the same until somebody acts
	err     error        // what is known could not be written down
}

// load is an item in a flight.
type load struct {
	it     *item
	covers int // records of it that are done with afterwards
	was    have
	judgment
	deferred bool // to be done again
	outcome  outcome.Outcome
}

const (
	maxFlights = 4    // of a catalog at once; each is about other items
	maxLook    = 1000 // items looked at for one flight
)

// next is what is to be done now; nil when there is nothing, or nothing yet.
func (b *book) next(now time.Time) (*flight, error) {
	for {
		it, ok := b.due(now)
		if !ok {
			break
		}
		b.enqueue(it)
	}
	switch {
	case b.flights >= maxFlights || b.asking || now.Before(b.until):
		return nil, nil
	case !b.Created:
		return b.create(now)
	case len(b.adding) > 0:
		return b.add(), nil
	}
	return b.pack(now)
}

// wake is when next has to be asked again, if nothing happens before; zero for never.
func (b *book) wake(now time.Time) time.Time {
	at := b.timers.next()
	waiting := len(b.queue)+len(b.adding) > 0 || !b.Created && b.Asked != nil
	if now.Before(b.until) && waiting && (at.IsZero() || b.until.Before(at)) {
		at = b.until
	}
	return at
}

// pack fills a request with items that have waited longest, all to be put or all to be removed.
func (b *book) pack(now time.Time) (*flight, error) {
	f := &flight{book: b, fresh: now.Before(b.fresh), standing: standing{Era: b.Era}}
	var back []*item
	size, looked := 0, 0
	for looked < min(len(b.queue), maxLook) && len(f.loads) < braze.CatalogItemsReplace.MaxItems {
		it := b.queue[looked]
		looked++
		it.queued = false
		if now.Before(it.notBefore) {
			b.push(it.notBefore, it)
			continue
		}
		j, err := b.judge(it, now)
		if err != nil {
			return nil, err
		}
		switch {
		case j.kind == nothing:
			b.rest(it, j.passed(), it.held, now)
			continue
		case len(j.fresh) > 0:
			b.propose(it, j.fresh, now)
			back = append(back, it)
			continue
		case f.kind != nothing && (j.kind != f.kind || size+len(j.text) > braze.MaxBody/2):
			back = append(back, it)
			continue
		}
		f.kind = j.kind
		size += len(j.text) + len(it.key) + len(`{"id":""},`)
		it.busy, it.again = true, false
		f.loads = append(f.loads, load{it: it, covers: it.held, was: b.have[it.key], judgment: j})
	}
	for _, it := range back {
		it.queued = true
	}
	b.queue = b.queue[looked-copy(b.queue[looked-len(back):looked], back):]
	if len(f.loads) > 0 {
		b.flights++
		return f, nil
	}
	if len(b.adding) > 0 {
		return b.add(), nil
	}
	return nil, nil
}

// create asks for the catalog, once there is something to put into it, with all the fields that are needed by
// then. Where it has been asked for before, it is asked for as it was then: nobody knows what became of it.
func (b *book) create(now time.Time) (*flight, error) {
	if b.Asked == nil {
		asked, err := b.wanted(now)
		if err != nil {
			return nil, err
		}
		if asked == nil {
			return b.pack(now) // what is refused
		}
		b.Asked = asked
	}
	fields := []braze.CatalogField{{Name: "id", Type: typeString}}
	for _, name := range slices.Sorted(maps.Keys(b.Asked)) {
		fields = append(fields, braze.CatalogField{Name: name, Type: b.Asked[name]})
	}
	b.asking = true
	body := &braze.NewCatalog{Name: b.rule.Name, Description: "kept in step by Sluice", Fields: fields}
	return &flight{book: b, body: body, standing: b.standing.clone()}, nil
}

// wanted looks at everything that is to be in the catalog for the fields that it needs; nil when nothing is.
func (b *book) wanted(now time.Time) (map[string]string, error) {
	wanted := len(b.rule.Fields) > 0
	var left []*item
	for _, it := range b.queue {
		j, err := b.judge(it, now)
		if err != nil {
			return nil, err
		}
		switch j.kind {
		case put:
			wanted = true
			b.propose(it, j.fresh, now)
			left = append(left, it)
		case remove, note:
			left = append(left, it)
		case nothing:
			it.queued = false
			b.rest(it, j.passed(), it.held, now)
		}
	}
	b.queue = left
	b.adding = nil
	if !wanted {
		return nil, nil
	}
	return maps.Clone(b.types), nil
}

// add asks for fields.
func (b *book) add() *flight {
	most := braze.CatalogFieldsCreate.MaxItems
	if b.single {
		most = 1
	}
	f := &flight{book: b, names: slices.Clone(b.adding[:min(most, len(b.adding))]), doubted: map[string]bool{}}
	b.adding = slices.Clone(b.adding[len(f.names):])
	if b.Asked == nil {
		b.Asked = map[string]string{}
	}
	fields := make([]braze.CatalogField, len(f.names))
	for i, name := range f.names {
		f.doubted[name] = b.Asked[name] != ""
		b.Asked[name] = b.types[name]
		fields[i] = braze.CatalogField{Name: name, Type: b.types[name]}
	}
	f.body = &braze.CatalogFields{Catalog: b.rule.Name, Fields: fields}
	f.standing = b.standing.clone()
	b.asking = true
	return f
}

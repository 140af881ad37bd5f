package catalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/stream"
)

// book is one collection and its catalog: what is to be there, what Braze has, and so what has to be done.
// It asks nobody and has no clock; one goroutine owns it.
type book struct {
	rule    *content.Collection
	decoder *avro.ContentDecoder
	settled func(o outcome.Outcome, n int)
	pending func(n int) // so many items more, or less, are not in step
	spacing time.Duration
	// keep says that records are kept although they are in the catalog: somebody needs them again.
	keep bool

	items map[string]*item // by id in the catalog
	have  map[string]have
	queue []*item // to be looked at
	timers
	standing

	types  map[string]string // of fields: those that Braze has, that it is being asked for, and that are to be asked for
	barred map[string]string // fields that Braze does not take, and its words
	adding []string          // fields to be asked for
	single bool              // one field at a time: one of several was refused

	flights int
	asking  bool      // for the catalog or for fields: nothing else goes meanwhile
	until   time.Time // nothing goes before
	fresh   time.Time // until then Braze may not know fields yet that it has accepted
	tries   int       // calls in a row that nobody answered properly
}

func newBook(rule *content.Collection, decoder *avro.ContentDecoder) *book {
	b := &book{
		rule: rule, decoder: decoder, settled: func(outcome.Outcome, int) {}, pending: func(int) {},
		items: map[string]*item{}, have: map[string]have{}, types: map[string]string{}, barred: map[string]string{},
	}
	maps.Copy(b.types, rule.Fields)
	return b
}

// remember takes over what is known of Braze.
func (b *book) remember(m *memory) {
	b.standing, b.have = m.standing.clone(), m.have
	maps.Copy(b.types, b.Asked)
	maps.Copy(b.types, b.Fields)
}

// errBodies says that a record is needed that was let go.
var errBodies = errors.New("records are needed once more that were in the catalog already")

// take takes a record of the collection in. An error says that the registry could not be asked, or
// [errBodies].
func (b *book) take(ctx context.Context, id, locale string, r *stream.Record, now time.Time) error {
	it := b.item(ItemID(id))
	it.held++
	switch {
	case r.Value == nil:
		it.forget(locale)
	default:
		var c event.Content
		err := b.decode(ctx, r, &c)
		unreadable, final := avro.AsUnreadable(err)
		switch {
		case err != nil && !final:
			return err
		case err != nil:
			it.forget(locale)
			e := &entry{locale: locale, version: noVersion, place: place{r.Partition, r.Offset}, record: kept(r)}
			e.fault = &refusal{unreadable.Reason, unreadable.Detail}
			it.put(e)
		case c.Withdraws:
			it.withdraw(c.ReceivedAt.UnixMilli())
		case !it.put(newEntry(&c, r)):
			it.held--
			b.settled(outcome.Outcome{Kind: outcome.Skipped, Reason: "stale"}, 1)
			return nil
		}
	}
	if it.busy {
		it.again = true
		return nil
	}
	if b.Created && !it.open {
		// What Braze has already need not be kept in memory until it is its turn.
		j, err := b.judge(it, now)
		if err != nil {
			return err
		}
		if j.kind == nothing {
			b.rest(it, j.passed(), it.held, now)
			return nil
		}
	}
	b.enqueue(it)
	return nil
}

// decode reads a record and holds it to what its topic promises.
func (b *book) decode(ctx context.Context, r *stream.Record, c *event.Content) error {
	key, err := b.decoder.Decode(ctx, r.Value, c)
	if err != nil {
		return err
	}
	if key != string(r.Key) || key != c.Key() {
		return &avro.Unreadable{Reason: "key_mismatch", Detail: "the record's key, its item_key, and its collection, id and locale are to say the same"}
	}
	return nil
}

// read reads a record once more, whose schema is known by now.
func (b *book) read(r *stream.Record, c *event.Content) error {
	_, err := b.decoder.Decode(context.Background(), r.Value, c)
	return err
}

func (b *book) item(key string) *item {
	it := b.items[key]
	if it == nil {
		it = &item{key: key}
		b.items[key] = it
	}
	return it
}

// complete is called when all that is known has been taken in: what Braze has beside it has to go.
func (b *book) complete() {
	for _, key := range slices.Sorted(maps.Keys(b.have)) {
		if b.items[key] == nil {
			b.enqueue(b.item(key))
		}
	}
}

func (b *book) enqueue(it *item) {
	if !it.open {
		it.open = true
		b.pending(1)
	}
	if it.busy {
		it.again = true
		return
	}
	if !it.queued {
		it.queued = true
		b.queue = append(b.queue, it)
	}
}

// kind is what has to be done about an item.
type kind uint8

const (
	nothing kind = iota
	put          // into the catalog
	remove       // from it
	note         // Braze is not asked: something has to be written down
)

// judgment is what a look at an item has found.
type judgment struct {
	kind  kind
	text  []byte   // of the row, to put
	fresh []string // fields of it that the catalog lacks
	have  have     // what is known when that is done
	why   *refusal // why the item is not there although it may be shown
	known bool     // that is known already: there is a dead letter
	by    *entry   // the record of that letter
}

// judge compares what is to be there of an item with what Braze has.
func (b *book) judge(it *item, now time.Time) (judgment, error) {
	b.arm(it, now)
	is := b.have[it.key]
	j := judgment{have: have{Era: b.Era}}
	var text []byte
	for _, e := range it.entries() {
		if e.fault != nil {
			j.why, j.by = e.fault, e
		}
		if it.shown(e, now.UnixMilli()) && e.record == nil {
			if is.Hash == "" || is.Hash == inDoubt || len(it.locales) > 0 {
				return j, errBodies
			}
			return j, nil // it has not changed since it was sent
		}
		if it.shown(e, now.UnixMilli()) && (j.by == nil || j.why == nil && e.place.offset > j.by.place.offset) {
			j.by = e
		}
	}
	if j.why == nil {
		r, why := b.build(it, now.UnixMilli())
		if r != nil && why == nil {
			why = b.admit(r, &j)
		}
		if j.why = why; r != nil && why == nil {
			text = r.text()
			row := braze.CatalogItem{ID: it.key, Fields: text}
			if v := row.Check(braze.ReplaceItems); v != nil {
				j.why = &refusal{"invalid", v.Error()}
			} else if len(text) > braze.MaxBody/2 {
				j.why = &refusal{"invalid", fmt.Sprintf("%d bytes are more than a request can hold", len(text))}
			}
		}
	}
	b.weigh(&j, is, text)
	return j, nil
}

// weigh decides what has to be done, where the row is text, or nothing where there is to be none.
func (b *book) weigh(j *judgment, is have, text []byte) {
	if j.why == nil && text != nil {
		j.have.Hash = hash(text)
		if mark := j.by.place.String() + "/" + j.have.Hash; is.Refused == mark {
			j.why, j.have.Hash = &refusal{itemError, ""}, ""
			j.have.Refused, j.known = mark, true
		}
	} else if j.why != nil {
		j.have.Refused = j.by.place.String() + "/"
		j.known = is.Refused == j.have.Refused
	}
	switch {
	case j.why == nil && text != nil && is.Hash != j.have.Hash:
		j.kind, j.text = put, text
	case j.why == nil && text != nil:
		j.have.Refused = is.Refused // not worth a record
	case is.Hash != "":
		j.kind = remove
	case is.Refused != j.have.Refused:
		j.kind = note
	}
	if j.kind != put {
		j.fresh = nil
	}
}

// itemError is the reason of what Braze itself has refused.
const itemError = "item_error"

// admit holds a row to the catalog's fields. Those that there are not yet become j.fresh.
func (b *book) admit(r *row, j *judgment) *refusal {
	for _, name := range slices.Sorted(maps.Keys(r.values)) {
		v := r.values[name]
		want, known := b.types[name]
		if !known {
			want, known = b.rule.Fields[r.bases[name]], len(b.rule.Fields) > 0
		}
		if !known {
			want, known = b.types[r.bases[name]], b.types[r.bases[name]] != ""
		}
		switch words := b.barred[name]; {
		case words != "":
			return &refusal{"invalid_field", fmt.Sprintf("the catalog has no field %s, and Braze does not add it: %s", name, words)}
		case known && !fits(want, v):
			return &refusal{"wrong_type", fmt.Sprintf("%s is %s that does not fit the catalog's field, a %s", name, inWords(v), want)}
		case b.Fields[name] == "":
			j.fresh = append(j.fresh, name)
		}
	}
	more := 0
	for _, name := range j.fresh {
		if b.types[name] == "" {
			more++
		}
	}
	if len(b.types)+more+1 > braze.MaxCatalogFields { // the id is one
		return &refusal{"too_many_fields", fmt.Sprintf("a catalog has at most %d fields, and these would be more: list those that matter in the collection's fields", braze.MaxCatalogFields)}
	}
	return nil
}

// propose has fields asked for that an item needs.
func (b *book) propose(it *item, fresh []string, now time.Time) {
	r, _ := b.build(it, now.UnixMilli())
	for _, name := range fresh {
		if b.types[name] == "" {
			base := r.bases[name]
			b.types[name] = cmp.Or(b.rule.Fields[base], b.types[base], typeOf(r.values[name]))
		}
		if !slices.Contains(b.adding, name) {
			b.adding = append(b.adding, name)
		}
	}
}

// arm sets the timer for the next beginning or end of a window.
func (b *book) arm(it *item, now time.Time) {
	if at := it.change(now.UnixMilli()); at != it.due {
		if it.due = at; at != 0 {
			b.push(time.UnixMilli(at), it)
		}
	}
}

// passed is the outcome of a record of which nothing has to be done.
func (j *judgment) passed() outcome.Outcome {
	if j.why != nil {
		return outcome.Outcome{Kind: outcome.Skipped, Reason: "refused_before"}
	}
	return outcome.Outcome{Kind: outcome.Skipped, Reason: "unchanged"}
}

// rest is called when Braze has of an item what it is to have, or never will: so many of its records are
// done with, of which the last has led to that.
func (b *book) rest(it *item, o outcome.Outcome, n int, now time.Time) {
	if n > 0 {
		b.settled(o, 1)
		if n > 1 {
			b.settled(outcome.Outcome{Kind: outcome.Skipped, Reason: "superseded"}, n-1)
		}
		it.held -= n
	}
	if it.again || it.held > 0 || it.queued {
		return
	}
	if it.open {
		it.open = false
		b.pending(-1)
	}
	is := b.have[it.key]
	switch at := now.UnixMilli(); {
	case it.empty() && is == have{}:
		delete(b.items, it.key)
	case b.keep || len(it.locales) > 0 || it.own == nil || is.Refused != "" || it.own.from > at:
	case is.Hash != "" && is.Hash != inDoubt, it.change(at) == 0 && !it.shown(it.own, at):
		it.own.record = nil
	}
}

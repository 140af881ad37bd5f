package catalog

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// item is everything that is known of one item, under its id in the catalog. What may be shown of it is
// judged as content-cacher judges it.
type item struct {
	key       string
	own       *entry   // the item's own record; nil where there is none
	locales   []*entry // records that are one locale's alone, by locale
	withdrawn int64    // what was received up to then does not count; milliseconds, 0 for never

	held      int  // records that have led to nothing yet
	open      bool // counts as not in step
	queued    bool // stands in the queue
	busy      bool // is in a request under way
	again     bool // something came meanwhile
	notBefore time.Time
	due       int64 // when a window of it begins or ends next, as the timers know; 0 for never
}

// entry is one record of an item.
type entry struct {
	locale   string
	version  int64 // noVersion where the source has none
	from     int64 // milliseconds since 1970, as all of these
	until    int64
	received int64
	approved bool
	place    place
	record   *stream.Record // nil once nobody needs its content any more
	fault    *refusal       // why it cannot be read at all
}

// place is where a record stands.
type place struct {
	partition int32
	offset    int64
}

func (p place) String() string {
	return strconv.Itoa(int(p.partition)) + "/" + strconv.FormatInt(p.offset, 10)
}

// refusal is why an item is not in the catalog although it may be shown.
type refusal struct{ reason, detail string }

const (
	noVersion = math.MinInt64
	never     = math.MaxInt64
	// everywhere is the locale in the key of a record that withdraws.
	everywhere = "*"
)

func newEntry(c *event.Content, r *stream.Record) *entry {
	e := &entry{
		locale: strings.Clone(c.Locale), version: noVersion, until: never,
		received: c.ReceivedAt.UnixMilli(), approved: c.Approved,
		place: place{r.Partition, r.Offset}, record: kept(r),
	}
	if c.Version != nil {
		e.version = *c.Version
	}
	if !c.ValidFrom.IsZero() {
		e.from = c.ValidFrom.UnixMilli()
	}
	if !c.ValidUntil.IsZero() {
		e.until = c.ValidUntil.UnixMilli()
	}
	return e
}

// kept is a record that does not hold the memory of everything that was fetched with it.
func kept(r *stream.Record) *stream.Record {
	k := &stream.Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp,
		Key: slices.Clone(r.Key), Value: slices.Clone(r.Value),
	}
	for _, h := range r.Headers {
		k.Headers = append(k.Headers, stream.Header{Key: strings.Clone(h.Key), Value: slices.Clone(h.Value)})
	}
	return k
}

// put takes a record in; false says that its source has numbered another one higher.
func (i *item) put(e *entry) bool {
	n, there := i.locale(e.locale)
	switch {
	case e.locale == "" && e.stale(i.own), there && e.stale(i.locales[n]):
		return false
	case e.locale == "":
		i.own = e
	case there:
		i.locales[n] = e
	default:
		i.locales = slices.Insert(i.locales, n, e)
	}
	return true
}

func (e *entry) stale(than *entry) bool {
	return than != nil && e.version != noVersion && than.version != noVersion && e.version < than.version
}

// withdraw takes word that everything up to then is withdrawn.
func (i *item) withdraw(received int64) {
	i.forget(everywhere)
	i.withdrawn = max(i.withdrawn, received)
}

// forget does what a tombstone says.
func (i *item) forget(locale string) {
	if locale == everywhere {
		i.withdrawn = 0
	}
	if locale == "" {
		i.own = nil
	} else if n, there := i.locale(locale); there {
		i.locales = slices.Delete(i.locales, n, n+1)
	}
}

func (i *item) locale(name string) (int, bool) {
	return slices.BinarySearchFunc(i.locales, name, func(e *entry, name string) int { return strings.Compare(e.locale, name) })
}

// entries are all records of the item.
func (i *item) entries() []*entry {
	if i.own == nil {
		return i.locales
	}
	return append([]*entry{i.own}, i.locales...)
}

// counts reports whether a record may be shown at one time or another.
func (i *item) counts(e *entry) bool { return e != nil && e.approved && e.received > i.withdrawn }

// shown reports whether a record may be shown at a moment.
func (i *item) shown(e *entry, now int64) bool { return i.counts(e) && e.from <= now && now < e.until }

// change is when a window begins or ends next; 0 for never.
func (i *item) change(now int64) (at int64) {
	for _, e := range i.entries() {
		if !i.counts(e) {
			continue
		}
		for _, t := range []int64{e.from, e.until} {
			if t > now && t != never && (at == 0 || t < at) && e.from < e.until {
				at = t
			}
		}
	}
	return at
}

// empty reports whether nothing is known of the item any more.
func (i *item) empty() bool { return i.own == nil && len(i.locales) == 0 && i.withdrawn == 0 }

package poll

import (
	"context"
	"errors"
	"slices"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// Of a source whose items come sorted by their change, the next page is asked for from the last change
// on this one: so nothing can slip over the edge, whatever moves. {since} has a coarser grain than time
// itself, and may or may not include what it names, so it is a grain less, and a few items come twice.
//
// Where all of a page has the same mark there is no other way than to count pages, and then one item
// that changes, and so moves to the end, pulls the others over the edges. Behind each page that was
// counted the one before is looked at once more: if it is still as it was, nothing has moved before the
// edge. Else the counting begins anew.

// counted is a page that was counted.
type counted struct {
	from   mark
	at     string
	stamps []stamp
}

var errNotSorted = errors.New("items are not in the order of since.value, which poll.paging.sorted says that they are")

func (w *worker) sorted() bool {
	sorted := w.polling.Paging.Sorted
	return sorted != nil && *sorted
}

// lookBack reports whether the page before has changed since it was read.
func (w *worker) lookBack(ctx context.Context) (shifted bool, err error) {
	before := w.previous
	if before == nil {
		return false, nil
	}
	page, _, _, err := w.page(ctx, before.from, before.at)
	if err != nil {
		return false, err
	}
	return !slices.Equal(before.stamps, stampsOf(page.Items)), nil
}

// advance moves the round to the page behind.
func (w *worker) advance(page *webhook.Page, at, next string, last mark, shifted bool) error {
	r := w.state.Round
	if !w.sorted() {
		w.stand(r, next)
		return nil
	}
	from := w.scale.back(last, w.scale.unit())
	switch {
	case shifted:
		r.At, w.previous, w.places = "", nil, nil
	case r.From.before(from) && w.scale.write(from) != w.scale.write(r.From):
		r.From, r.At, w.previous, w.places = from, "", nil, nil
	case next == at: // there is one page only
		return &failure{broken, errStuck, 0}
	default:
		w.previous = &counted{r.From, at, stampsOf(page.Items)}
		w.stand(r, next)
	}
	return nil
}

// stand moves the round before a page, and remembers that it was there: of pages that name each other in a
// circle there is no last one. Numbers only rise.
func (w *worker) stand(r *round, at string) {
	if k := w.polling.Paging.Kind; k != webhook.PagingLink && k != webhook.PagingCursor {
		r.At = at
		return
	}
	if w.places == nil {
		w.places = map[string]bool{hashOf(r.At): true}
	}
	r.At, w.places[hashOf(at)] = at, true
}

func stampsOf(items []webhook.Item) []stamp {
	all := make([]stamp, len(items))
	for i := range items {
		all[i] = stampOf(&items[i])
	}
	return all
}

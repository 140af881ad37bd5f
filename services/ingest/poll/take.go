package poll

import (
	"context"
	"strconv"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// take makes records of what is new on a page, and returns the last change on it.
func (w *worker) take(ctx context.Context, items []webhook.Item) (last mark, err error) {
	r := w.state.Round
	fresh, marks, last, err := w.fresh(items)
	if err != nil {
		return last, err
	}
	if len(fresh) > 0 {
		if err := w.doubt(ctx, fresh); err != nil {
			return last, err
		}
		if err := w.sink.Take(ctx, w.polling, fresh); err != nil {
			return last, err
		}
	}
	for i := range fresh {
		it := &fresh[i]
		if w.known != nil && it.ID != "" {
			w.state.Recent.drop(w.known.put(it.ID, stampOf(it), it.Gone, r.Begun.Unix()))
		}
		if it.Since != "" || w.known == nil || it.ID == "" {
			w.state.Recent.add(stampOf(it), marks[i].At)
		}
	}
	if r.Last.before(last) {
		r.Last = last
	}
	r.Pages++
	r.Items += int64(len(items))
	w.state.Pages++
	w.state.Items += int64(len(fresh))
	w.stats.counted(len(fresh), len(items)-len(fresh))
	return last, nil
}

// fresh are the items that have not become records yet, as far as anybody remembers, with their marks. Of an
// item that is known what is known decides alone: a hash among the recent ones cannot say that it has been
// something else since.
func (w *worker) fresh(items []webhook.Item) (fresh []webhook.Item, marks []mark, last mark, err error) {
	here := map[stamp]bool{}
	for i := range items {
		it := &items[i]
		m, has, err := w.scale.of(it)
		if err != nil {
			return nil, nil, last, &failure{broken, err, 0}
		}
		if w.sorted() && (!has || m.before(last)) {
			return nil, nil, last, &failure{broken, errNotSorted, 0}
		}
		last = latest(last, m)
		v := stampOf(it)
		seen := w.state.Recent.has[v]
		if w.known.has(it.ID) {
			if w.known.retold(it) {
				it.Again = strconv.FormatInt(w.state.Round.Begun.Unix(), 10)
			}
			seen = w.known.same(it.ID, v, w.state.Round.Begun.Unix())
		}
		if !seen && !here[v] {
			fresh, marks = append(fresh, *it), append(marks, m)
		}
		here[v] = true
	}
	return fresh, marks, last, nil
}

package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/stream"
)

// courier carries flights to Braze, and writes down what became of them.
type courier struct {
	client   *braze.Client
	quotas   map[*braze.Pool]*quota.Quota
	producer *stream.Producer
	letters  *deadletter.Writer
	metrics  *metrics
	log      zerolog.Logger
}

// fly does what a flight is about. When the context ends, a request under way is still answered and written
// down, and no other begins.
func (c *courier) fly(ctx context.Context, f *flight, s scribe) {
	began := time.Now()
	if f.body != nil {
		c.flyCatalog(ctx, f, s)
		return
	}
	if f.kind == note {
		for i := range f.loads {
			f.loads[i].succeed()
		}
	} else {
		f.err = c.doubt(ctx, f, s)
		if f.err == nil {
			c.send(ctx, f, f.loads)
		}
	}
	if f.err == nil {
		f.err = c.conclude(context.WithoutCancel(ctx), f, s, began)
	}
	if f.err != nil {
		f.postpone(f.loads)
	}
}

// doubt writes down that Braze may have of items what is sent now.
func (c *courier) doubt(ctx context.Context, f *flight, s scribe) error {
	var records []*stream.Record
	for i := range f.loads {
		ld := &f.loads[i]
		if ld.was.Hash == inDoubt {
			continue
		}
		r, err := s.itemRecord(ld.it.key, have{Hash: inDoubt, Refused: ld.was.Refused, Era: f.standing.Era})
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	return c.write(ctx, records)
}

func (c *courier) write(ctx context.Context, records []*stream.Record) error {
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := c.producer.ProduceAll(ctx, records...); err != nil {
		return fmt.Errorf("writing down what Braze has: %w", err)
	}
	return nil
}

// patience is how long Kafka may take. What is known is read again afterwards.
const patience = 20 * time.Second

// send carries loads to Braze. What Braze finds malformed as a whole is halved until it is known who is to
// blame. It reports false when what is left has to wait.
func (c *courier) send(ctx context.Context, f *flight, loads []load) bool {
	a, asked := c.ask(ctx, f, f.items(loads))
	if !asked {
		f.postpone(loads)
		return false
	}
	at := named(a)
	switch {
	case a.Verdict == braze.Accepted:
		for i := range loads {
			if !slices.Contains(at, i) {
				loads[i].succeed()
			}
		}
		return f.refuse(loads, a)
	case a.Verdict != braze.Malformed || f.lost || f.stopped || f.early:
		f.postpone(loads)
		return false
	case len(at) > 0: // and nothing was taken
		if !f.refuse(loads, a) {
			return false
		}
		left := make([]load, 0, len(loads))
		where := make([]int, 0, len(loads))
		for i := range loads {
			if !slices.Contains(at, i) {
				left, where = append(left, loads[i]), append(where, i)
			}
		}
		going := len(left) == 0 || c.send(ctx, f, left)
		for i, n := range where {
			loads[n] = left[i]
		}
		return going
	case len(loads) == 1:
		a.Items = []braze.ItemError{{Type: a.Message}}
		return f.refuse(loads, a)
	}
	half := len(loads) / 2
	if !c.send(ctx, f, loads[:half]) {
		f.postpone(loads[half:])
		return false
	}
	return c.send(ctx, f, loads[half:])
}

// refuse says of the loads that an answer names that Braze does not take them. It reports false when that
// makes no sense: whatever is wrong with taking an item out of a catalog, it is not the item.
func (f *flight) refuse(loads []load, a braze.Answer) bool {
	if f.kind == remove && len(a.Items) > 0 {
		f.stopped = true
		f.postpone(loads)
		return false
	}
	for _, e := range a.Items {
		if e.Index < len(loads) {
			loads[e.Index].refuse(e.Type)
		}
	}
	return true
}

// items is the request about loads.
func (f *flight) items(loads []load) *braze.CatalogItems {
	body := &braze.CatalogItems{Catalog: f.book.rule.Name, Change: braze.ReplaceItems}
	if f.kind == remove {
		body.Change = braze.DeleteItems
	}
	for i := range loads {
		body.List = append(body.List, braze.CatalogItem{ID: loads[i].it.key, Fields: loads[i].text})
	}
	return body
}

// Braze's words for what no item is to blame for (braze-docs: put_update_catalog_items,
// post_create_catalog).
const (
	wordsNotFound = "catalog-not-found"
	wordsSurge    = "company-size-limit"
	wordsFields   = "invalid-fields"
	wordsExists   = "catalog-name-already-exists"
)

// ask makes one call, when there is room for it in the budget. It reports false when the context ended before.
func (c *courier) ask(ctx context.Context, f *flight, body braze.Body) (a braze.Answer, asked bool) {
	q := c.quotas[body.Endpoint().Pool]
	for {
		if ctx.Err() != nil {
			return a, false
		}
		wait := q.Take(time.Now())
		if wait <= 0 {
			break
		}
		select {
		case <-ctx.Done():
			return a, false
		case <-time.After(wait):
		}
	}
	a = c.client.Call(context.WithoutCancel(ctx), braze.NewCall(nil, body))
	q.Learn(time.Now(), a.Hint)
	if a.Message == "" && a.Err != nil {
		a.Message = a.Err.Error()
	}
	c.metrics.called(body.Endpoint(), a)
	f.answer = a
	f.lost = a.Verdict == braze.Malformed && strings.Contains(a.Message, wordsNotFound)
	f.stopped = a.Verdict == braze.Stopped || a.Verdict == braze.Malformed && strings.Contains(a.Message, wordsSurge)
	f.early = f.fresh && a.Verdict == braze.Malformed && strings.Contains(a.Message, wordsFields)
	return a, true
}

// conclude writes the dead letters of what is refused, and then what Braze has.
func (c *courier) conclude(ctx context.Context, f *flight, s scribe, began time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var records []*stream.Record
	done := make(chan error, len(f.loads))
	waiting := 0
	for i := range f.loads {
		ld := &f.loads[i]
		if ld.deferred {
			continue // it is in doubt already
		}
		if ld.outcome.Kind == outcome.Refused {
			waiting++
			c.letters.Write(ctx, f.letter(ld, began), func(err error) { done <- err })
		}
		r, err := s.itemRecord(ld.it.key, ld.have)
		if err != nil {
			return err
		}
		records = append(records, r)
	}
	for ; waiting > 0; waiting-- {
		select {
		case err := <-done:
			if err != nil {
				return fmt.Errorf("writing a dead letter: %w", err)
			}
		case <-ctx.Done():
			return fmt.Errorf("writing a dead letter: %w", ctx.Err())
		}
	}
	return c.write(ctx, records)
}

func (f *flight) letter(ld *load, began time.Time) deadletter.Letter {
	r := ld.by.record
	l := deadletter.Letter{
		Reason: ld.why.reason, Detail: "catalog " + f.book.rule.Name + ", item " + ld.it.key + ": " + ld.why.detail,
		OriginTopic: r.Topic, OriginPartition: r.Partition, OriginOffset: r.Offset, AppendedAt: r.Timestamp,
		Key: r.Key, Value: r.Value, Headers: r.Headers, FirstAttemptAt: began.UTC(), LastAttemptAt: time.Now().UTC(),
	}
	if ld.why.reason == itemError {
		l.Attempts = 1
	}
	var c event.Content
	if ld.by.fault == nil && f.book.read(r, &c) == nil {
		l.EventID = c.ID
	}
	return l
}

// flyCatalog asks for the catalog, or for fields of it.
func (c *courier) flyCatalog(ctx context.Context, f *flight, s scribe) {
	if f.err = c.stand(ctx, f, s); f.err != nil {
		return
	}
	a, asked := c.ask(ctx, f, f.body)
	if !asked {
		f.answer.Verdict = braze.NotSent
		return
	}
	exists := a.Verdict == braze.Malformed && strings.Contains(a.Message, wordsExists)
	switch {
	case a.Verdict == braze.Accepted, exists:
		f.done = true
	case len(f.names) == 1 && a.Verdict == braze.Malformed && f.doubted[f.names[0]] && !f.lost && !f.stopped:
		f.done = true // it has come of the earlier request
	case len(f.names) == 0 && a.Verdict == braze.Malformed:
		f.stopped = true // and not because of anything that will be different next time
	}
	if !f.done {
		return
	}
	if exists {
		c.log.Warn().Str("catalog", f.book.rule.Name).Any("fields", f.standing.Asked).
			Msg("the catalog exists already and is taken over; it has to have these fields, and what else is in it is left alone")
	}
	if f.standing.Created = true; f.standing.Fields == nil {
		f.standing.Fields = map[string]string{}
	}
	if len(f.names) == 0 {
		maps.Copy(f.standing.Fields, f.standing.Asked)
	}
	for _, name := range f.names {
		f.standing.Fields[name] = f.standing.Asked[name]
	}
	f.err = c.stand(context.WithoutCancel(ctx), f, s)
}

// stand writes down what is known of the catalog itself.
func (c *courier) stand(ctx context.Context, f *flight, s scribe) error {
	r, err := s.catalogRecord(f.standing)
	if err != nil {
		return err
	}
	return c.write(ctx, []*stream.Record{r})
}

package ingest

import (
	"context"
	"fmt"
	"net/http"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// deleteContent answers DELETE /v1/content/{collection}/{id}: the item is withdrawn in all its locales, or
// with ?locale= the record of that one. It is a yes once both of its records are durable.
//
// That the item may not be there is nobody's business here: whoever withdraws wants it gone, and says so again
// where they are not sure.
func (s *Service) deleteContent(x *exchange) error {
	rq, r := x.rq, x.Request()
	if err := x.authorize(bearer(r), routeContent, errNoKey); err != nil {
		return err
	}
	c := event.Content{Locale: r.URL.Query().Get("locale")}
	collection, err := x.pathParam("collection")
	id, malformed := x.pathParam("*")
	c.Collection, c.ItemID = collection, id
	p := checkContentKey(&c)
	if err != nil || malformed != nil || !utf8.ValidString(c.Locale) {
		p = problem{why: notUTF8, field: "path"}
	}
	rq.items = append(rq.items[:0], withdrawal(&c)...)
	if p.why != fine {
		rq.items = rq.items[:1]
		rq.items[0].refuse(p)
	}
	x.leave = !rq.accept()
	return x.answerWithdrawal()
}

// withdrawal is what takes an item away that has collection, id and source: a record behind everything that
// was published of it in whatever locale, and a tombstone for the item's own record, so that it does not
// stand in the topic for ever. In that order: should only the first become durable, the item is gone all the
// same. Of one locale it is the tombstone alone.
func withdrawal(c *event.Content) []item {
	tombstone, all := *c, *c
	if c.Locale != "" {
		return []item{{content: &tombstone, removes: true}}
	}
	all.Withdraws, all.Body = true, emptyBody
	if c.ID != "" {
		tombstone.ID = idOf(c.ID + ":tombstone")
	}
	return []item{{content: &all}, {content: &tombstone, removes: true}}
}

// emptyBody is that of a record which withdraws: the schema has no null for it.
var emptyBody = []byte("{}")

// answerWithdrawal gives the records of a withdrawal one verdict: that of the one which fared worst.
func (x *exchange) answerWithdrawal() error {
	rq := x.rq
	t := rq.tally()
	if t[unavailable] > 0 {
		return errKafkaAway
	}
	both, status := tally{accepted: 1}, http.StatusAccepted
	if t[rejected] > 0 {
		both, status = tally{rejected: 1}, http.StatusUnprocessableEntity
	}
	rq.items = rq.items[:1]
	rq.out = rq.appendAnswer(rq.out[:0], &both)
	writeJSON(x, status, rq.out)
	return nil
}

// placeContent puts a record where all of its item's stand, so that they are in order: on the partition of
// the item's own key.
func (s *Service) placeContent(it *item, r *stream.Record) {
	c := it.content
	own := make([]byte, 0, len(c.Collection)+1+len(c.ItemID))
	own = append(append(append(own, c.Collection...), '/'), c.ItemID...)
	r.Partition = stream.PartitionOf(own, s.partitions)
	if it.removes {
		r.Value = nil
	}
}

// contentPartitions asks how many partitions the topic of content has. They stay as many: with more, the
// records of an item would no longer stand on one.
func contentPartitions(ctx context.Context, kafka stream.Config) (int32, error) {
	admin, err := stream.NewAdmin(kafka)
	if err != nil {
		return 0, err
	}
	defer admin.Close()
	states, err := admin.Topics(ctx, nil, kafka.Topic(schema.ContentItems))
	if err != nil {
		return 0, fmt.Errorf("counting the partitions of %s: %w", schema.ContentItems, err)
	}
	return states[0].Partitions, nil
}

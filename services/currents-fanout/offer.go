package currentsfanout

import (
	"sync"

	"github.com/sluicehq/sluice/pkg/stream"
)

// offered are records on their way to those who read the topics beside the sinks: to tell doubles, to watch. They get what a
// sink has just been lent, while it is warm, and read a topic by themselves only where no sink does. The first of the sinks
// to come to a record is the one that is listened to.
type offered struct {
	records [offerChunk]stream.Record
	list    [offerChunk]*stream.Record
}

// offerChunk is how many are offered at once.
const offerChunk = 512

var offers = sync.Pool{New: func() any { return new(offered) }}

// offer hands on what was lent, by partition. It is called by the consumer.
func (r *runner) offer(lent []stream.Delivery) {
	for len(lent) > 0 {
		n := 1
		for n < min(len(lent), offerChunk) && lent[n].Partition() == lent[0].Partition() {
			n++
		}
		r.offerPart(lent[:n])
		lent = lent[n:]
	}
}

func (r *runner) offerPart(lent []stream.Delivery) {
	at := lent[0].Partition()
	r.mu.Lock()
	p := r.parts[place{at.Topic, at.Number}]
	r.mu.Unlock()
	if p == nil || p.of == ofNothing {
		return
	}
	// A topic that was made anew begins before what was read of the old one.
	from, end := min(p.read, lent[0].Offset()), lent[len(lent)-1].Offset()+1
	p.read = end
	var of *offered
	records := func() []*stream.Record {
		if of == nil { // nearly always somebody else was first
			of = offers.Get().(*offered)
			of.fill(lent)
		}
		return of.list[:len(lent)]
	}
	if d := r.repeats(p); d != nil {
		d.Offer(at.Number, from, end, records)
	}
	if p.of == ofEngagements && r.watch != nil {
		r.watch.Offer(at.Number, from, end, records)
	}
	if of != nil {
		clear(of.records[:len(lent)]) // what they alias is not kept alive
		offers.Put(of)
	}
}

func (o *offered) fill(lent []stream.Delivery) {
	for i, d := range lent {
		o.records[i] = stream.Record{Offset: d.Offset(), Timestamp: d.AppendedAt(), Key: d.Key(), Value: d.Value()}
		o.list[i] = &o.records[i]
	}
}

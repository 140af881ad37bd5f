package ingest

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/ingest/poll"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// openPolls prepares the polling of the sources that say how; without any there is nothing to run.
func (s *Service) openPolls(kafka stream.Config, sources *webhook.Sources, p *daemon.Process) error {
	var asked []*webhook.Polling
	for _, source := range sources.All() {
		switch polling := source.Polling(); {
		case polling == nil:
		case polling.Disabled() != "":
			s.log.Info().Str("source", source.Name()).Msg("this source is not polled: " + polling.Disabled())
		default:
			asked = append(asked, polling)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	polls, err := poll.New(poll.Options{
		Kafka: kafka, Topic: kafka.Topic(schema.PollState), Group: kafka.Group(Name + ".polls"),
		Sources: asked, Sink: pollSink{s}, Metrics: p.Metrics, Log: s.log,
	})
	if err != nil {
		return err
	}
	s.poll = polls.Run
	return nil
}

// startPolls polls beside the door until the context ends, and returns what ends it and waits for that.
// The door stays open where polling fails as a whole: it begins again.
func (s *Service) startPolls(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for attempt := 0; s.poll != nil && ctx.Err() == nil; attempt++ {
			if err := s.poll(ctx); err != nil {
				s.log.Error().Err(err).Msg("polling failed")
			}
			select {
			case <-ctx.Done():
			case <-time.After(slowly.Next(attempt, 0)):
			}
		}
	}()
	return func() { cancel(); <-done }
}

var slowly = retry.Schedule{Base: time.Second, Cap: time.Minute}

// pollSink lets what is polled in through the door, as webhooks are.
type pollSink struct{ *Service }

// Take is part of [poll.Sink].
func (s pollSink) Take(ctx context.Context, source *webhook.Polling, polled []webhook.Item) error {
	batch := pollBatch{service: s.Service, holder: s.hooks[source.Name()].holder, path: source.Path()}
	received := time.Now()
	for _, it := range polled {
		start := len(batch.body)
		batch.body = append(batch.body, it.JSON...)
		message := source.Translate(ctx, it, received)
		message.Start, message.End = start, len(batch.body)
		for _, it := range itemsOf(&message) {
			it.lighten()
			batch.items = append(batch.items, it)
		}
	}
	if ctx.Err() != nil { // then programs were broken off, and their items are not what they ought to be
		return context.Cause(ctx)
	}
	for attempt := 0; len(batch.items) > 0; attempt++ {
		left := batch.offer()
		if left == 0 {
			return nil
		}
		if attempt == 0 {
			s.log.Warn().Str("source", source.Name()).Int("items", left).Msg("Kafka does not take what was polled: waiting")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(kafkaAway.Next(attempt, 0)):
		}
	}
	return nil
}

var kafkaAway = retry.Schedule{Base: 500 * time.Millisecond, Cap: 5 * time.Second}

// pollBatch is a page of items on its way, in the form of a request.
type pollBatch struct {
	service *Service
	holder  *holder
	path    string
	body    []byte
	items   []item
}

// offer hands over what is not durable yet, and returns how much of it still is not. An item that Kafka
// would never take becomes a dead letter.
func (b *pollBatch) offer() (left int) {
	rq := b.service.newRequest()
	rq.holder, rq.counts, rq.path = b.holder, &b.holder.counts[routePolls], b.path
	rq.body, rq.items = append(rq.body[:0], b.body...), append(rq.items[:0], b.items...)
	release := rq.accept()
	rq.tally()
	var rest []item
	for i := range rq.items {
		it := &b.items[i]
		switch rq.verdictOf(i) {
		case unavailable, pending:
			rest = append(rest, *it)
		case rejected:
			if it.fate == toTopic { // nobody learns of it, so its bytes are kept
				letter := item{start: it.start, end: it.end, fate: deadLetter}
				letter.setID(it.id())
				letter.refuse(problem{why: refusedByKafka})
				letter.lighten()
				rest = append(rest, letter)
			}
		case accepted, duplicate, skipped:
		}
	}
	b.items = rest
	if release {
		rq.release()
	}
	return len(rest)
}

// longestLetter is what fits into a dead letter with its envelope.
const longestLetter = schema.MaxDeadLetterBytes - 256<<10

// lighten leaves the bytes of a dead letter out that would fit nowhere, and says so, in the words by which
// [deadletter.Letter.Incomplete] knows it. Webhooks are so small that theirs always fit, and exist nowhere
// else; what was polled is still where it was, and one item must not keep all others from coming.
func (it *item) lighten() {
	n := it.end - it.start
	if it.fate != deadLetter || n <= longestLetter {
		return
	}
	it.problem.detail = fmt.Sprintf("the value of %d bytes does not fit here and is left at its origin; %s", n, it.problem.reason())
	it.start, it.end = 0, 0
}

// messagesOf are what a sample says: a webhook, or a page of a source that is polled. Of one that does both, a
// sample without headers that has items as a page would is one.
func messagesOf(ctx context.Context, source *webhook.Source, sample *webhook.Request) []webhook.Message {
	polling := source.Polling()
	if polling == nil || source.Calls() && len(sample.Header) > 0 {
		return source.Translate(ctx, sample)
	}
	page, err := polling.Read(ctx, sample.Body)
	switch {
	case source.Calls() && (err != nil || len(page.Items) == 0):
		return source.Translate(ctx, sample)
	case err != nil:
		return []webhook.Message{{Refuse: webhook.Unmappable, Detail: err.Error(), End: len(sample.Body)}}
	}
	messages := make([]webhook.Message, len(page.Items))
	for i, it := range page.Items {
		messages[i] = polling.Translate(ctx, it, sample.Received)
	}
	return messages
}

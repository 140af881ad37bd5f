package ingest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/retry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
	"github.com/sluicehq/sluice/services/ingest/poll"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// openPolls prepares the polling of the sources that say how; without any there is nothing to run.
func (s *Service) openPolls(ctx context.Context, kafka stream.Config, sources *webhook.Sources, p *daemon.Process) error {
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
	if _, err := topics.Prepare(ctx, kafka, nil, schema.PollState); err != nil { // it has no schema
		return fmt.Errorf("preparing the topic of checkpoints: %w", err)
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

var errKeptNowhere = errors.New("an item is too large for a record, and for a dead letter too")

// Take is part of [poll.Sink].
func (s pollSink) Take(ctx context.Context, source *webhook.Polling, polled []webhook.Item) error {
	batch := pollBatch{service: s.Service, holder: s.hooks[source.Name()].holder, path: source.Path()}
	received := time.Now()
	for _, it := range polled {
		start := len(batch.body)
		batch.body = append(batch.body, it.JSON...)
		message := source.Translate(ctx, it, received)
		message.Start, message.End = start, len(batch.body)
		batch.items = append(batch.items, itemsOf(&message)...)
	}
	if ctx.Err() != nil { // then programs were broken off, and their items are not what they ought to be
		return context.Cause(ctx)
	}
	for attempt := 0; len(batch.items) > 0; attempt++ {
		left, err := batch.offer()
		if err != nil || left == 0 {
			return err
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
func (b *pollBatch) offer() (left int, err error) {
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
				rest = append(rest, letter)
			}
		case accepted, duplicate, skipped:
		}
	}
	b.items = rest
	if release {
		rq.release()
	}
	for i := range rest {
		if it := &rest[i]; it.end-it.start > longestLetter {
			return len(rest), errKeptNowhere
		}
	}
	return len(rest), nil
}

// longestLetter is what fits into a dead letter with its envelope.
const longestLetter = schema.MaxDeadLetterBytes - 256<<10

// messagesOf are what a sample says: a webhook, or a page of a source that is polled only.
func messagesOf(ctx context.Context, source *webhook.Source, sample *webhook.Request) []webhook.Message {
	polling := source.Polling()
	if source.Calls() || polling == nil {
		return source.Translate(ctx, sample)
	}
	page, err := polling.Read(ctx, sample.Body)
	if err != nil {
		return []webhook.Message{{Refuse: webhook.Unmappable, Detail: err.Error(), End: len(sample.Body)}}
	}
	messages := make([]webhook.Message, len(page.Items))
	for i, it := range page.Items {
		messages[i] = polling.Translate(ctx, it, sample.Received)
	}
	return messages
}

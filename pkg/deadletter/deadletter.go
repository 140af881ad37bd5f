// Package deadletter is the envelope of a record that cannot go on: its bytes untouched, where it
// came from, and why it was given up. A source may commit past such a record only when its dead
// letter is durable.
package deadletter

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Letter is a record that cannot go on.
type Letter struct {
	Reason          string // short stable word: undecodable, key_mismatch, item_error, in_doubt, …
	Detail          string // words for a person
	OriginTopic     string // on the cluster; a request path for what never reached a topic
	OriginPartition int32  // -1 for what never reached a topic
	OriginOffset    int64  // likewise
	AppendedAt      time.Time
	Key, Value      []byte // untouched; nil where there was none
	Headers         []stream.Header
	EventID         string // where it could be read
	Attempts        int    // times the destination was asked
	FirstAttemptAt  time.Time
	LastAttemptAt   time.Time
}

// Replayed is the reason of a mark: a letter that says of its origin that an operator has sent the
// record once more. It holds neither value nor headers, and outlives the letter it is about.
const Replayed = "replayed"

// Incomplete reports whether a part of the record was left at its origin, for want of room.
func (l Letter) Incomplete() bool { return strings.Contains(l.Detail, leftBehind) }

// Encoder makes records of letters.
type Encoder struct {
	topic   string
	service string
	codec   *avro.Codec
}

// Writer puts letters on a service's dead-letter topic.
type Writer struct {
	encoder  *Encoder
	producer *stream.Producer
}

// maxDetail bounds a letter's words, since Braze's answer may be long; maxKey what becomes its key.
const (
	maxDetail = 2_000
	maxKey    = 2_000
)

// NewEncoder is for a service that writes its letters itself, in a transaction with everything else; id is
// the id of their schema in the registry.
func NewEncoder(kafka stream.Config, service string, id int) (*Encoder, error) {
	topic, ok := schema.Find(schema.DeadLetters(service))
	if !ok {
		return nil, fmt.Errorf("service %s has no dead letters", service)
	}
	codec, err := avro.NewCodec(topic.Text(), id)
	if err != nil {
		return nil, err
	}
	return &Encoder{kafka.Topic(topic.Name), service, codec}, nil
}

// Open connects to the dead letters of a service; id is the id of their schema in the registry.
func Open(kafka stream.Config, service string, id int) (*Writer, error) {
	encoder, err := NewEncoder(kafka, service, id)
	if err != nil {
		return nil, err
	}
	// A producer of its own: a letter may be larger than what other topics take.
	producer, err := stream.NewProducer(kafka, stream.ProducerOptions{MaxBatchBytes: schema.MaxDeadLetterBytes - 1024})
	if err != nil {
		return nil, err
	}
	return &Writer{encoder, producer}, nil
}

// Close gives up what is still on its way; every Write that matters has called back by then.
func (w *Writer) Close() { w.producer.Close() }

// Write calls done once the letter is durable, or certain never to be. A letter that even its own
// topic cannot hold is written without the record's value, then without its headers, then without its
// key, and says what was left at the origin: in the end it fits, whatever somebody has produced.
func (w *Writer) Write(ctx context.Context, l Letter, done func(error)) {
	l.Detail, l.EventID = shorten(l.Detail), shorten(l.EventID)
	w.write(ctx, l, func(err error) {
		// What never reached a topic has no origin where it could be left.
		if !stream.Permanent(err) || l.OriginPartition < 0 || !l.lighten() {
			done(err)
			return
		}
		go w.Write(ctx, l, done) // not from within the client's own callback, which may block
	})
}

// leftBehind is what a letter says of what it could not take along.
const leftBehind = " does not fit here and is left at its origin"

// lighten leaves the next part of the record behind. It reports false when there is none.
func (l *Letter) lighten() bool {
	var what string
	switch {
	case l.Value != nil:
		what, l.Value = fmt.Sprintf("the value of %d bytes", len(l.Value)), nil
	case l.Headers != nil:
		what, l.Headers = fmt.Sprintf("the list of %d headers", len(l.Headers)), nil
	case l.Key != nil:
		what, l.Key = fmt.Sprintf("the key of %d bytes", len(l.Key)), nil
	default:
		return false
	}
	l.Detail = what + leftBehind + "; " + l.Detail
	return true
}

func (w *Writer) write(ctx context.Context, l Letter, done func(error)) {
	r, err := w.encoder.encode(l)
	if err != nil {
		done(err)
		return
	}
	w.producer.Produce(ctx, r, func(_ *stream.Record, err error) { done(err) })
}

// Fitting is the record of a letter that came from a topic, without what would not fit on its own.
func (e *Encoder) Fitting(l Letter) (*stream.Record, error) {
	l.Detail, l.EventID = shorten(l.Detail), shorten(l.EventID)
	for {
		r, err := e.encode(l)
		if err != nil || len(r.Key)+len(r.Value) <= fits || !l.lighten() {
			return r, err
		}
	}
}

// fits is the size of a record that its topic takes in any case, whatever stands around it.
const fits = schema.MaxDeadLetterBytes - 16<<10

func (e *Encoder) encode(l Letter) (*stream.Record, error) {
	value, err := e.codec.Append(nil, l.record(e.service))
	if err != nil {
		return nil, fmt.Errorf("encoding a dead letter: %w", err)
	}
	headers := []stream.Header{{Key: "reason", Value: []byte(l.Reason)}}
	if l.EventID != "" {
		headers = append(headers, stream.Header{Key: "event-id", Value: []byte(l.EventID)})
	}
	return &stream.Record{Topic: e.topic, Key: l.key(), Value: value, Headers: headers}, nil
}

func shorten(s string) string {
	if len(s) <= maxDetail {
		return s
	}
	return strings.ToValidUTF8(s[:maxDetail], "") + "…"
}

// key is the record's own where it is text, so that a customer's dead letters stay together.
func (l Letter) key() []byte {
	if len(l.Key) > 0 && len(l.Key) <= maxKey && l.Key[0] != 0 && utf8.Valid(l.Key) {
		return l.Key
	}
	return []byte(l.OriginTopic + "/" + strconv.Itoa(int(l.OriginPartition)) + "/" + strconv.FormatInt(l.OriginOffset, 10))
}

func (l Letter) record(service string) map[string]any {
	headers := make([]any, len(l.Headers))
	for i, h := range l.Headers {
		headers[i] = map[string]any{"name": h.Key, "content": avro.OptBlob(h.Value)}
	}
	return map[string]any{
		"service":            service,
		"reason":             l.Reason,
		"detail":             avro.Opt("string", l.Detail),
		"origin_topic":       l.OriginTopic,
		"origin_partition":   l.OriginPartition,
		"origin_offset":      l.OriginOffset,
		"origin_appended_at": l.AppendedAt,
		"origin_key":         avro.OptBlob(l.Key),
		"origin_value":       avro.OptBlob(l.Value),
		"origin_headers":     headers,
		"event_id":           avro.Opt("string", l.EventID),
		"attempts":           l.Attempts,
		"first_attempt_at":   l.FirstAttemptAt,
		"last_attempt_at":    l.LastAttemptAt,
	}
}

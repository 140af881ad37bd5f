package simulate

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/segmentio/kafka-go"
)

// Upstreamer writes events straight to customer.events as an upstream system does that has never
// heard of our Go packages: with kafka-go, framing of its own, goavro, and the schema's text fetched
// from the registry by plain HTTP. It is also the example to copy for such a system.
type Upstreamer struct {
	Brokers  []string
	Registry string // URL of a Confluent-compatible registry
	// RegistryUser and RegistryPassword are sent by basic authentication, unless both are empty.
	RegistryUser, RegistryPassword string
	Topic                          string // on the cluster, prefix included
	Access                         Access
	Source                         string // what the events say their source is; "simulate" when empty
}

// A producer in the outside world sets these on purpose: left alone, a kafka-go Writer waits for no
// acknowledgement at all, lingers a second over a lone message, and places keys as no other client
// does.
func (u Upstreamer) writer() (*kafka.Writer, error) {
	transport, err := u.Access.transport()
	if err != nil {
		return nil, err
	}
	return &kafka.Writer{
		Addr:  kafka.TCP(u.Brokers...),
		Topic: u.Topic,
		// The same partition as the Java client, librdkafka's murmur2_random and Sluice itself: a user
		// whose records stand on two partitions has no order.
		Balancer:     kafka.Murmur2Balancer{},
		RequiredAcks: kafka.RequireAll,
		BatchTimeout: 5 * time.Millisecond,
		Compression:  kafka.Lz4,
		Transport:    transport,
	}, nil
}

// chunk is how many records are handed to kafka-go at once. They are written in order, and the next
// chunk waits until every replica has them.
const chunk = 200

// Send tells a story to the topic until it ends or ctx does.
func (u Upstreamer) Send(ctx context.Context, t Telling, p Pace) (Summary, error) {
	if !t.Straight {
		return Summary{}, errors.New("simulate: this story is told to the front door, not to the topics")
	}
	if u.Source == "" {
		u.Source = "simulate"
	}
	f, err := u.Framer(ctx)
	if err != nil {
		return Summary{}, err
	}
	w, err := u.writer()
	if err != nil {
		return Summary{}, err
	}
	tally := newTally(t.Seed)
	stop := report(p, func() Summary { return tally.summary(Upstream) })
	err = u.tell(ctx, NewStory(t), p, f, w, tally)
	stop()
	return tally.summary(Upstream), errors.Join(err, w.Close())
}

// tell hands the story's records to kafka-go in chunks.
func (u Upstreamer) tell(ctx context.Context, story *Story, p Pace, f *Framer, w *kafka.Writer, tally *tally) error {
	var acts []Act
	var messages []kafka.Message
	var failed error
	write := func() {
		// What was begun is finished, also when the story is told to end.
		err := w.WriteMessages(context.WithoutCancel(ctx), messages...)
		tally.request(false)
		settle(acts, err, tally)
		if err != nil {
			failed = fmt.Errorf("writing to %s: %w", u.Topic, err)
		}
		acts, messages = acts[:0], messages[:0]
	}
	most := chunk
	if p.Rate > 0 {
		most = max(1, min(chunk, int(p.Rate/20))) // or records would wait for company
	}
	pace(ctx, context.WithoutCancel(ctx), p, story, func(a Act) bool {
		acts = append(acts, a)
		for i := range a.Items {
			m, err := u.message(f, &a, &a.Items[i])
			if err != nil {
				failed = err
				return false
			}
			messages = append(messages, m)
		}
		if len(messages) >= most {
			write()
		}
		return failed == nil
	})
	if len(messages) > 0 && failed == nil {
		write()
	}
	return failed
}

// settle enters what became of the records of some acts.
func settle(acts []Act, err error, tally *tally) {
	var each kafka.WriteErrors
	perMessage := errors.As(err, &each)
	n := 0
	for i := range acts {
		a := &acts[i]
		for j := range a.Items {
			v, why := Accepted, ""
			if perMessage && n < len(each) && each[n] != nil {
				v, why = "", each[n].Error()
			} else if err != nil && !perMessage {
				v, why = "", err.Error()
			}
			tally.count(a, &a.Items[j], v, why, false)
			n++
		}
	}
}

// message is the record of one item, with what its act's mishap makes of it.
func (u Upstreamer) message(f *Framer, a *Act, it *Item) (kafka.Message, error) {
	value, err := f.Frame(u.native(a.Person, it))
	if err != nil {
		return kafka.Message{}, fmt.Errorf("encoding %s: %w", it.ID, err)
	}
	key := a.Person.Key
	switch a.Mishap {
	case Garbage:
		value = []byte("this is no Avro, whatever the topic says: " + it.ID)
	case UnknownSchema:
		binary.BigEndian.PutUint32(value[1:headerSize], math.MaxInt32-1)
	case KeyMismatch:
		key = "somebody-else-" + key
	case Hostile:
		value = append(value[:headerSize:headerSize], hostileLength...)
	case NoMishap, Twice, Late, OutOfOrder, Unwelcome, Muted, Malformed:
	}
	return kafka.Message{
		Key: []byte(key), Value: value,
		Headers: []kafka.Header{
			{Key: "event-id", Value: []byte(it.ID)},
			{Key: "source", Value: []byte(u.Source)},
			{Key: "mishap", Value: []byte(a.Mishap)},
		},
	}, nil
}

// hostileLength is a string that claims 2 GiB.
var hostileLength = binary.AppendVarint(nil, math.MaxInt32)

// native is an item as goavro wants a record of customer.events.
func (u Upstreamer) native(p *Person, it *Item) map[string]any {
	now := time.Now().UTC().Truncate(time.Millisecond)
	occurred := it.Time
	if occurred.IsZero() {
		occurred = now
	}
	record := map[string]any{
		"event_id": it.ID, "user_id": p.Key,
		"external_id": nil, "braze_id": nil, "alias_label": nil, "alias_name": nil, "email": nil, "phone": nil,
		"event_name": it.Name, "event_kind": it.Kind,
		"occurred_at": occurred, "received_at": now, "source": u.Source,
		"properties_json": optional(it.Properties), "attributes_json": optional(it.Attributes),
		"app_id": nil, "braze_disabled": nil,
	}
	if it.Muted {
		record["braze_disabled"] = map[string]any{"boolean": true}
	}
	user := maps.Clone(p.User)
	if alias, ok := user["alias"].(map[string]any); ok {
		user = map[string]any{"alias_label": alias["label"], "alias_name": alias["name"]}
	}
	for field, v := range user {
		record[field] = map[string]any{"string": v}
	}
	return record
}

// optional is a nullable string in goavro's form.
func optional(s json.RawMessage) any {
	if s == nil {
		return nil
	}
	return map[string]any{"string": string(s)}
}

// headerSize is the length of the header that the Confluent wire format puts before a body: a zero
// byte, and the schema's id as a big-endian 32-bit number.
const headerSize = 5

// Framer puts records of one schema into that format.
type Framer struct {
	ID    int // of the schema
	Codec *goavro.Codec
}

// Frame encodes a record in goavro's native form.
func (f *Framer) Frame(record map[string]any) ([]byte, error) {
	header := binary.BigEndian.AppendUint32([]byte{0}, uint32(f.ID)) //nolint:gosec // a registry's ids are positive
	return f.Codec.BinaryFromNative(header, record)
}

// Framer asks the registry for the newest schema of the topic's values.
func (u Upstreamer) Framer(ctx context.Context) (*Framer, error) {
	at := strings.TrimRight(u.Registry, "/") + "/subjects/" + url.PathEscape(u.Topic+"-value") + "/versions/latest"
	var answer struct {
		ID     int
		Schema string
	}
	if err := u.get(ctx, at, &answer); err != nil {
		return nil, fmt.Errorf("fetching the schema of %s: %w", u.Topic, err)
	}
	codec, err := goavro.NewCodec(answer.Schema)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema of %s: %w", u.Topic, err)
	}
	return &Framer{ID: answer.ID, Codec: codec}, nil
}

// get reads JSON from the registry.
func (u Upstreamer) get(ctx context.Context, at string, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return err
	}
	if u.RegistryUser != "" || u.RegistryPassword != "" {
		req.SetBasicAuth(u.RegistryUser, u.RegistryPassword)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	switch {
	case err != nil:
		return fmt.Errorf("reading the answer: %w", err)
	case resp.StatusCode == http.StatusNotFound:
		return errors.New("the registry has none: start Sluice, or run sluice schemas register")
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the registry answers %s: %s", resp.Status, body[:min(len(body), 200)])
	}
	return json.Unmarshal(body, answer)
}

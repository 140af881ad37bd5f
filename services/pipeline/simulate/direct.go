package simulate

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/segmentio/kafka-go"
)

// Upstreamer writes events straight to customer.events and commerce.events as an upstream system does
// that has never heard of our Go packages: with kafka-go, framing of its own, goavro, and the schemas'
// text fetched from the registry by plain HTTP. It is also the example to copy for such a system.
type Upstreamer struct {
	Brokers  []string
	Registry string // URL of a Confluent-compatible registry
	// RegistryUser and RegistryPassword are sent by basic authentication, unless both are empty.
	RegistryUser, RegistryPassword string
	Topic                          string // of customers' events, on the cluster, prefix included
	CommerceTopic                  string // likewise, of commerce events
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
		Addr: kafka.TCP(u.Brokers...), // each message names its topic
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
	var f framers
	var err error
	if f.events, err = u.Framer(ctx); err != nil {
		return Summary{}, err
	}
	if f.commerce, err = u.CommerceFramer(ctx); err != nil {
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
func (u Upstreamer) tell(ctx context.Context, story *Story, p Pace, f framers, w *kafka.Writer, tally *tally) error {
	var acts []Act
	var messages []kafka.Message
	var failed error
	write := func() {
		// What was begun is finished, also when the story is told to end.
		err := w.WriteMessages(context.WithoutCancel(ctx), messages...)
		tally.request(false)
		settle(acts, err, tally)
		if err != nil {
			failed = fmt.Errorf("writing to %s and %s: %w", u.Topic, u.CommerceTopic, err)
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
func (u Upstreamer) message(f framers, a *Act, it *Item) (kafka.Message, error) {
	topic, framer := u.Topic, f.events
	if it.Commerce != nil {
		topic, framer = u.CommerceTopic, f.commerce
	}
	value, err := framer.Frame(u.native(a.Person, it))
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
	case NoMishap, Twice, Late, OutOfOrder, Restated, Overtaken, Unwelcome, Muted, Malformed:
	}
	return kafka.Message{
		Topic: topic, Key: []byte(key), Value: value,
		Headers: []kafka.Header{
			{Key: "event-id", Value: []byte(it.ID)},
			{Key: "source", Value: []byte(u.Source)},
			{Key: "mishap", Value: []byte(a.Mishap)},
		},
	}, nil
}

// hostileLength is a string that claims 2 GiB.
var hostileLength = binary.AppendVarint(nil, math.MaxInt32)

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

// framers are those of the two topics.
type framers struct{ events, commerce *Framer }

// Framer asks the registry for the newest schema of the values of customers' events.
func (u Upstreamer) Framer(ctx context.Context) (*Framer, error) { return u.framer(ctx, u.Topic) }

// CommerceFramer asks it for that of commerce events.
func (u Upstreamer) CommerceFramer(ctx context.Context) (*Framer, error) {
	return u.framer(ctx, u.CommerceTopic)
}

func (u Upstreamer) framer(ctx context.Context, topic string) (*Framer, error) {
	at := strings.TrimRight(u.Registry, "/") + "/subjects/" + url.PathEscape(topic+"-value") + "/versions/latest"
	var answer struct {
		ID     int
		Schema string
	}
	if err := u.get(ctx, at, &answer); err != nil {
		return nil, fmt.Errorf("fetching the schema of %s: %w", topic, err)
	}
	codec, err := goavro.NewCodec(answer.Schema)
	if err != nil {
		return nil, fmt.Errorf("compiling the schema of %s: %w", topic, err)
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

package avro_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
)

// texts is a registry of three lines.
type texts map[int]string

var errAway = errors.New("the registry is away")

func (s texts) SchemaByID(_ context.Context, id int) (string, error) {
	if id == 503 {
		return "", errAway
	}
	text, ok := s[id]
	if !ok {
		return "", &avro.Unreadable{Reason: "unknown_schema", Detail: "no such schema"}
	}
	return text, nil
}

var (
	eventText = schemas.Latest(schema.CustomerEvents)
	registry  = texts{7: eventText}
)

func full() event.Event {
	return event.Event{
		ID:         "evt-1",
		User:       event.User{ExternalID: "crm-1001", Email: "mira@example.com"},
		Name:       "Order Completed",
		Kind:       event.KindTrack,
		OccurredAt: time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC),
		ReceivedAt: time.Date(2026, 3, 4, 5, 6, 8, 0, time.UTC),
		Source:     "shop",
		AppID:      "app-1",
		Properties: []byte(`{"order_id":820982911946154508,"total":84.90}`),
		Attributes: []byte(`{"plan":"gold"}`),
	}
}

func goavroCodec(t testing.TB, text string) *goavro.Codec {
	t.Helper()
	c, err := goavro.NewCodec(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGoavroReadsWhatWeWrite holds the hand-written encoder to the codec of record: reading our bytes
// and writing them again gives the same bytes.
func TestGoavroReadsWhatWeWrite(t *testing.T) {
	codec := goavroCodec(t, eventText)
	disabled := full()
	disabled.BrazeDisabled = true
	cases := map[string]event.Event{
		"every field set":        full(),
		"only what is required":  {ID: "e", User: event.User{ExternalID: "u"}, Name: "n", Kind: "track", OccurredAt: time.UnixMilli(0), ReceivedAt: time.UnixMilli(1), Source: "s"},
		"a user known by alias":  {ID: "e", User: event.User{AliasLabel: "anonymous_id", AliasName: "a-1"}, Name: "n", Kind: "page", OccurredAt: time.UnixMilli(-1), ReceivedAt: time.UnixMilli(1), Source: "s"},
		"not meant for Braze":    disabled,
		"a user known by e-mail": {ID: "e", User: event.User{Email: "Mira@Example.com"}, Name: "n", Kind: "track", OccurredAt: time.UnixMilli(0), ReceivedAt: time.UnixMilli(1), Source: "s"},
	}
	for name, e := range cases {
		t.Run(name, func(t *testing.T) {
			ours := avro.AppendEvent(nil, 7, &e)
			native, rest, err := codec.NativeFromBinary(ours[avro.HeaderSize:])
			if err != nil || len(rest) > 0 {
				t.Fatalf("goavro: %v, %d bytes left over", err, len(rest))
			}
			theirs, err := codec.BinaryFromNative(ours[:avro.HeaderSize:avro.HeaderSize], native)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(ours, theirs) {
				t.Errorf("goavro writes it differently:\nours   %x\ntheirs %x", ours, theirs)
			}
			if got := native.(map[string]any)["user_id"]; got != e.User.Key() {
				t.Errorf("user_id = %q, want the canonical key %q", got, e.User.Key())
			}
			var back event.Event
			if _, err := avro.NewEventDecoder(registry).Decode(t.Context(), ours, &back); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(e, back, cmpopts.EquateEmpty(), cmp.Transformer("utc", time.Time.UTC)); diff != "" {
				t.Errorf("round trip (-want +got)\n%s", diff)
			}
		})
	}
}

const foreign = `{"type":"record","name":"CustomerEvent","namespace":"io.sluice","fields":[
  {"name":"loyalty_points","type":"int"},
  {"name":"event_id","type":"string"},{"name":"user_id","type":"string"},
  {"name":"external_id","type":["null","string"],"default":null},
  {"name":"event_name","type":"string"},{"name":"event_kind","type":"string"},
  {"name":"occurred_at","type":{"type":"long","logicalType":"%s"}},
  {"name":"received_at","type":{"type":"long","logicalType":"timestamp-millis"}},
  {"name":"source","type":"string"},
  {"name":"tags","type":{"type":"array","items":"%s"},"default":[]}]}`

func foreignText(logical, items string) string {
	return string(bytes.Replace(bytes.Replace([]byte(foreign), []byte("%s"), []byte(logical), 1), []byte("%s"), []byte(items), 1))
}

// TestAnotherProgramsSchemaIsResolved reads a record with fields of its own, without most of ours.
func TestAnotherProgramsSchemaIsResolved(t *testing.T) {
	text := foreignText("timestamp-millis", "string")
	native := map[string]any{
		"loyalty_points": 12, "event_id": "e", "user_id": "u", "external_id": map[string]any{"string": "u"},
		"event_name": "n", "event_kind": "track", "occurred_at": time.UnixMilli(1000), "received_at": time.UnixMilli(2000),
		"source": "pos", "tags": []any{"a", "b"},
	}
	value, err := goavroCodec(t, text).BinaryFromNative(avro.AppendHeader(nil, 9), native)
	if err != nil {
		t.Fatal(err)
	}
	var e event.Event
	userID, err := avro.NewEventDecoder(texts{9: text}).Decode(t.Context(), value, &e)
	if err != nil {
		t.Fatal(err)
	}
	want := event.Event{ID: "e", User: event.User{ExternalID: "u"}, Name: "n", Kind: "track", OccurredAt: time.UnixMilli(1000).UTC(), ReceivedAt: time.UnixMilli(2000).UTC(), Source: "pos"}
	if diff := cmp.Diff(want, e); diff != "" || userID != "u" {
		t.Errorf("user_id %q, (-want +got)\n%s", userID, diff)
	}
}

func TestUnreadableRecords(t *testing.T) {
	e := full()
	good := avro.AppendEvent(nil, 7, &e)
	hostile := texts{
		7: eventText, 8: `{"type":"record","name":"X","fields":[]}`, 9: `not a schema`,
		10: foreignText("timestamp-micros", "string"), 11: foreignText("timestamp-millis", "null"),
	}
	cases := []struct {
		name  string
		value []byte
		want  string
	}{
		{"no value at all", nil, "tombstone"},
		{"an empty value", []byte{}, "not_avro"},
		{"JSON", []byte(`{"event_id":"e"}`), "not_avro"},
		{"too short for a header", good[:4], "not_avro"},
		{"a transaction's marker", []byte{0, 0, 0, 0, 0, 0}, "unknown_schema"},
		{"a schema nobody registered", avro.AppendHeader(nil, 4711), "unknown_schema"},
		{"a schema that is not ours", avro.AppendHeader(nil, 8), "incompatible_schema"},
		{"a schema that is none", avro.AppendHeader(nil, 9), "incompatible_schema"},
		{"a body cut off", good[:len(good)-3], "undecodable"},
		{"something behind the body", append(bytes.Clone(good), 1), "undecodable"},
		{"a string of two gigabytes in five bytes", append(avro.AppendHeader(nil, 7), 0xfe, 0xff, 0xff, 0xff, 0x0f), "undecodable"},
		{"a string of negative length", append(avro.AppendHeader(nil, 7), 0x01), "undecodable"},
		{"a number that never ends", append(avro.AppendHeader(nil, 7), bytes.Repeat([]byte{0xff}, 20)...), "undecodable"},
		{"times in microseconds, which look like milliseconds in the year 58000", hostileArray(10), "incompatible_schema"},
		{"an array of two thousand million nothings", hostileArray(11), "undecodable"},
	}
	decoder := avro.NewEventDecoder(hostile)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var e event.Event
			_, err := decoder.Decode(t.Context(), c.value, &e)
			u, ok := avro.AsUnreadable(err)
			if !ok || u.Reason != c.want {
				t.Fatalf("err = %v, want an Unreadable with reason %s", err, c.want)
			}
			if u.Detail == "" {
				t.Error("no detail for a person")
			}
		})
	}
}

// hostileArray is a record of the foreign schema whose array claims 2³¹−1 items.
func hostileArray(id int) []byte {
	b := avro.AppendHeader(nil, id)
	b = avro.AppendLong(b, 1)
	b = avro.AppendString(b, "e")
	b = avro.AppendString(b, "u")
	b = avro.AppendOptString(b, "u")
	b = avro.AppendString(b, "n")
	b = avro.AppendString(b, "track")
	b = avro.AppendLong(b, 1)
	b = avro.AppendLong(b, 1)
	b = avro.AppendString(b, "s")
	return avro.AppendLong(b, 1<<31-1)
}

func TestARegistryThatIsAwayIsNoVerdictOnTheRecord(t *testing.T) {
	var e event.Event
	_, err := avro.NewEventDecoder(registry).Decode(t.Context(), avro.AppendHeader(nil, 503), &e)
	if _, unreadable := avro.AsUnreadable(err); unreadable || !errors.Is(err, errAway) {
		t.Fatalf("err = %v, want the registry's own", err)
	}
}

// FuzzDecodeEvent feeds any bytes to our reader and to goavro: both accept, and then agree, or both
// refuse.
func FuzzDecodeEvent(f *testing.F) {
	e := full()
	good := avro.AppendEvent(nil, 7, &e)
	f.Add(good[avro.HeaderSize:])
	f.Add(good[avro.HeaderSize : len(good)-4])
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0x0f})
	codec := goavroCodec(f, eventText)
	decoder := avro.NewEventDecoder(registry)
	f.Fuzz(func(t *testing.T, body []byte) {
		value := append(avro.AppendHeader(nil, 7), body...)
		var e event.Event
		userID, ourErr := decoder.Decode(t.Context(), value, &e)
		native, rest, theirErr := codec.NativeFromBinary(body)
		if theirErr == nil && len(rest) > 0 {
			theirErr = errors.New("left over")
		}
		if (ourErr == nil) != (theirErr == nil) {
			t.Fatalf("ours: %v, goavro: %v", ourErr, theirErr)
		}
		if ourErr != nil {
			return
		}
		m := native.(map[string]any)
		if m["event_id"] != e.ID || m["user_id"] != userID || m["source"] != e.Source || !m["occurred_at"].(time.Time).Equal(e.OccurredAt) {
			t.Fatalf("ours %+v, goavro %v", e, m)
		}
	})
}

func BenchmarkAppendEvent(b *testing.B) {
	e := full()
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = avro.AppendEvent(buf[:0], 7, &e)
	}
	b.SetBytes(int64(len(buf)))
}

func BenchmarkDecodeEvent(b *testing.B) {
	e := full()
	value := avro.AppendEvent(nil, 7, &e)
	decoder := avro.NewEventDecoder(registry)
	b.ReportAllocs()
	for b.Loop() {
		var got event.Event
		if _, err := decoder.Decode(b.Context(), value, &got); err != nil {
			b.Fatal(err)
		}
	}
}

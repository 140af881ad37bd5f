package deadletter_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/schema"
)

// shelf is a registry for tests.
type shelf map[int]string

var errAway = errors.New("the registry is away")

func (s shelf) SchemaByID(_ context.Context, id int) (string, error) {
	text, ok := s[id]
	switch {
	case !ok:
		return "", &avro.Unreadable{Reason: "unknown_schema", Detail: "no such schema"}
	case text == "":
		return "", errAway
	}
	return text, nil
}

// Whoever may write to the topic may write anything, with any schema.
func TestWhatIsNoLetterIsUnreadableAndNoPanic(t *testing.T) {
	topic, _ := schema.Find(schema.DeadLetters(service))
	d := deadletter.NewDecoder(shelf{
		1: topic.Text(),
		2: `{"type":"record","name":"X","fields":[{"name":"reason","type":"long"}]}`,
		3: `"string"`,
		4: `{"type":"nosuch"}`,
		5: "",
		6: `{"type":"record","name":"X","fields":[{"name":"reason","type":"string"},{"name":"origin_topic","type":"string"},
			{"name":"origin_partition","type":"int"},{"name":"origin_offset","type":"long"},
			{"name":"origin_appended_at","type":{"type":"long","logicalType":"timestamp-millis"}},
			{"name":"attempts","type":"int"},{"name":"first_attempt_at","type":{"type":"long","logicalType":"timestamp-millis"}},
			{"name":"last_attempt_at","type":{"type":"long","logicalType":"timestamp-millis"}},
			{"name":"origin_headers","type":{"type":"array","items":"string"}}]}`,
	})
	for name, value := range map[string][]byte{
		"a tombstone":                        nil,
		"no Avro":                            []byte("hello"),
		"a letter that is cut off":           {0, 0, 0, 0, 1, 2, 'x'},
		"a field of another type":            {0, 0, 0, 0, 2, 2},
		"no record":                          {0, 0, 0, 0, 3, 2, 'x'},
		"a schema that is none":              {0, 0, 0, 0, 4},
		"headers of another type":            {0, 0, 0, 0, 6, 2, 'r', 2, 't', 0, 0, 0, 0, 0, 0, 2, 2, 'h', 0},
		"a schema that the registry has not": {0, 0, 0, 0, 9},
	} {
		_, err := d.Decode(t.Context(), value)
		if _, ok := avro.AsUnreadable(err); !ok {
			t.Errorf("%s: %v, want a verdict on the bytes", name, err)
		}
	}
	if _, err := d.Decode(t.Context(), []byte{0, 0, 0, 0, 5}); !errors.Is(err, errAway) {
		t.Errorf("a registry that cannot be asked: %v", err)
	}
	codec, err := avro.NewCodec(topic.Text(), 1)
	if err != nil {
		t.Fatal(err)
	}
	at := time.UnixMilli(1_800_000_000_000).UTC()
	value, err := codec.Append(nil, map[string]any{
		"service": service, "reason": "invalid", "detail": nil, "origin_topic": "t", "origin_partition": int32(3), "origin_offset": int64(17),
		"origin_appended_at": at, "origin_key": avro.OptBlob([]byte("k")), "origin_value": nil, "origin_headers": []any{}, "event_id": nil,
		"attempts": 2, "first_attempt_at": at, "last_attempt_at": at,
	})
	if err != nil {
		t.Fatal(err)
	}
	if l, err := d.Decode(t.Context(), value); err != nil || l.Reason != "invalid" || l.OriginOffset != 17 || string(l.Key) != "k" || l.Incomplete() {
		t.Errorf("a letter: %+v, %v", l, err)
	}
}

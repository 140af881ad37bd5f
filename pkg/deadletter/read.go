package deadletter

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Decoder reads letters, each with the schema it was written with. It may be shared.
type Decoder struct {
	source avro.Source
	codecs sync.Map // schema id → *avro.Codec; ids never change their meaning
}

// NewDecoder asks source for each schema id once.
func NewDecoder(source avro.Source) *Decoder { return &Decoder{source: source} }

// Decode reads the value of a record of a dead-letter topic. An *avro.Unreadable error is final; any
// other says that the registry could not be asked.
func (d *Decoder) Decode(ctx context.Context, value []byte) (Letter, error) {
	id, _, err := avro.Split(value)
	if err != nil {
		return Letter{}, err
	}
	codec, ok := d.codecs.Load(id)
	if !ok {
		text, err := d.source.SchemaByID(ctx, id)
		if err != nil {
			return Letter{}, fmt.Errorf("looking up schema %d: %w", id, err)
		}
		made, err := avro.NewCodec(text, id)
		if err != nil {
			return Letter{}, &avro.Unreadable{Reason: "incompatible_schema", Detail: err.Error()}
		}
		d.codecs.Store(id, made)
		codec = made
	}
	return Read(codec.(*avro.Codec), value)
}

// Read takes a letter out of the value of a record that was written with the codec's schema. One that
// is no letter is an *avro.Unreadable.
func Read(codec *avro.Codec, value []byte) (Letter, error) {
	_, body, err := avro.Split(value)
	if err != nil {
		return Letter{}, err
	}
	m, err := codec.Decode(body)
	if err != nil {
		return Letter{}, err
	}
	f := fields{record: m}
	l := Letter{
		Reason:          must[string](&f, "reason"),
		Detail:          avro.Unwrap[string](m["detail"]),
		OriginTopic:     must[string](&f, "origin_topic"),
		OriginPartition: must[int32](&f, "origin_partition"),
		OriginOffset:    must[int64](&f, "origin_offset"),
		AppendedAt:      must[time.Time](&f, "origin_appended_at"),
		Key:             avro.Unwrap[[]byte](m["origin_key"]),
		Value:           avro.Unwrap[[]byte](m["origin_value"]),
		EventID:         avro.Unwrap[string](m["event_id"]),
		Attempts:        int(must[int32](&f, "attempts")),
		FirstAttemptAt:  must[time.Time](&f, "first_attempt_at"),
		LastAttemptAt:   must[time.Time](&f, "last_attempt_at"),
	}
	for _, h := range must[[]any](&f, "origin_headers") {
		header := fields{record: nil}
		if header.record, _ = h.(map[string]any); header.record == nil {
			f.missing = "origin_headers"
			break
		}
		l.Headers = append(l.Headers, stream.Header{
			Key: must[string](&header, "name"), Value: avro.Unwrap[[]byte](header.record["content"]),
		})
		if header.missing != "" {
			f.missing = "origin_headers." + header.missing
		}
	}
	if f.missing != "" {
		return Letter{}, &avro.Unreadable{Reason: "incompatible_schema", Detail: f.missing + ": not as a dead letter has it"}
	}
	return l, nil
}

// fields are those of a record whose schema is its writer's, whoever that was.
type fields struct {
	record  map[string]any
	missing string // the first that is not there, or is of another type
}

func must[T any](f *fields, name string) T {
	v, ok := f.record[name].(T)
	if !ok && f.missing == "" {
		f.missing = name
	}
	return v
}

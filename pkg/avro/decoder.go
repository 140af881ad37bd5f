package avro

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/twmb/avro"

	"github.com/sluicehq/sluice/schemas"
)

// Decoder reads records of one topic, whoever wrote them. It may be shared.
type Decoder[T any] struct {
	source Source
	kind   *kind[T]
	plans  sync.Map // schema id → plan[T]; ids never change their meaning
}

// plan reads a body written with one schema.
type plan[T any] func(body []byte, v *T) (userID string, err error)

// kind is how a topic's records are read.
type kind[T any] struct {
	texts   []string                              // our own schemas, oldest first
	reads   []plan[T]                             // what was written with exactly one of those
	schema  *avro.Schema                          // the newest
	foreign func(resolved *avro.Schema) plan[T]   // what was written with another
	check   func(writer []avro.SchemaField) error // of another's fields, what resolution does not see
}

// kindOf is a topic's kind, by its record type. W is the newest version of the record as the resolving decoder
// fills it, and fill moves it to where it belongs.
func kindOf[T, W any](recordType string, reads []plan[T], check func([]avro.SchemaField) error, fill func(w *W, v *T) (userID string, err error)) *kind[T] {
	texts, err := schemas.Versions(recordType)
	if err != nil || len(texts) != len(reads) {
		panic(fmt.Sprintf("avro: %d versions of %s, %d ways to read them: %v", len(texts), recordType, len(reads), err))
	}
	newest := texts[len(texts)-1]
	return &kind[T]{texts: texts, schema: avro.MustParse(newest), reads: reads, check: check, foreign: func(resolved *avro.Schema) plan[T] {
		return func(body []byte, v *T) (string, error) {
			var w W
			rest, err := resolved.Decode(body, &w)
			if err != nil {
				return "", &Unreadable{Reason: "undecodable", Detail: err.Error()}
			}
			if len(rest) > 0 {
				return "", &Unreadable{Reason: "undecodable", Detail: "bytes are left over behind the last field"}
			}
			return fill(&w, v)
		}
	}}
}

// Decode reads a record's value into v, which aliases it, and returns the user_id it states. An
// *Unreadable error is final; any other says that the registry could not be asked.
func (d *Decoder[T]) Decode(ctx context.Context, value []byte, v *T) (userID string, err error) {
	id, body, err := Split(value)
	if err != nil {
		return "", err
	}
	known, ok := d.plans.Load(id)
	if !ok {
		if known, err = d.learn(ctx, id); err != nil {
			return "", err
		}
	}
	return known.(plan[T])(body, v)
}

// Known reports whether a value can be judged without asking the source.
func (d *Decoder[T]) Known(value []byte) bool {
	id, _, err := Split(value)
	if err != nil {
		return true
	}
	_, ok := d.plans.Load(id)
	return ok
}

func (d *Decoder[T]) learn(ctx context.Context, id int) (plan[T], error) {
	text, err := d.source.SchemaByID(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("looking up schema %d: %w", id, err)
	}
	p := d.kind.planFor(text)
	d.plans.Store(id, p)
	return p, nil
}

// planFor finds the way to read what was written with a schema: by hand where it is our own, through
// resolution where it is another that ours can read, not at all otherwise.
func (k *kind[T]) planFor(text string) plan[T] {
	for i, own := range k.texts {
		if same(text, own) {
			return k.reads[i]
		}
	}
	resolved, err := k.resolve(text)
	if err != nil {
		refusal := &Unreadable{Reason: "incompatible_schema", Detail: err.Error()}
		return func([]byte, *T) (string, error) { return "", refusal }
	}
	return k.foreign(resolved)
}

// resolve prepares reading what was written with a foreign schema as our own newest version.
func (k *kind[T]) resolve(text string) (*avro.Schema, error) {
	writer, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parsing the writer's schema: %w", err)
	}
	resolved, err := avro.Resolve(writer, k.schema)
	if err == nil {
		err = k.check(writer.Root().Fields)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the writer's schema with ours: %w", err)
	}
	return resolved, nil
}

// checkTimes refuses times of another unit. To the resolution a long is a long: it would take
// microseconds for milliseconds and put an event into the year 58000.
func checkTimes(fields []avro.SchemaField, names ...string) error {
	for _, f := range fields {
		if !slices.Contains(names, f.Name) {
			continue
		}
		if l := nonNull(&f.Type).LogicalType; l != "" && l != "timestamp-millis" {
			return fmt.Errorf("%s is %s, not timestamp-millis", f.Name, l)
		}
	}
	return nil
}

// nonNull is the T of a union ["null", T], or the type itself.
func nonNull(t *avro.SchemaNode) *avro.SchemaNode {
	for i := range t.Branches {
		if t.Branches[i].Type != "null" {
			return &t.Branches[i]
		}
	}
	return t
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// orNil is for a nullable string that holds JSON.
func orNil(s *string) []byte {
	if s == nil {
		return nil
	}
	return []byte(*s)
}

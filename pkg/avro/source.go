package avro

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicehq/sluice/pkg/registry"
)

// Source finds the text of a schema by the id in a record's header.
type Source interface {
	// SchemaByID returns an *Unreadable when there is no such schema, or none that is safe to parse:
	// whoever may register schemas may register hostile ones. Any other error says that the registry
	// could not be asked.
	SchemaByID(ctx context.Context, id int) (text string, err error)
}

// FromRegistry is the Source that asks a schema registry.
func FromRegistry(client *registry.Client) Source { return fromRegistry{client} }

type fromRegistry struct{ client *registry.Client }

func (s fromRegistry) SchemaByID(ctx context.Context, id int) (string, error) {
	text, err := s.client.SchemaByID(ctx, id)
	switch {
	case errors.Is(err, registry.ErrNotFound):
		return "", &Unreadable{Reason: "unknown_schema", Detail: fmt.Sprintf("the registry has no schema %d", id)}
	case errors.Is(err, registry.ErrUnsupported):
		return "", &Unreadable{Reason: "incompatible_schema", Detail: err.Error()}
	case err != nil:
		return "", err
	}
	if _, err := registry.ParseSchema(text); err != nil {
		return "", &Unreadable{Reason: "incompatible_schema", Detail: err.Error()}
	}
	return text, nil
}

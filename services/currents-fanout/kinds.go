package currentsfanout

import (
	"context"
	"fmt"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// KindOptions are the options of a kind of sink: a pointer to a struct with yaml tags.
type KindOptions interface{ Validate() error }

// Kind is how the sinks of one kind are configured and opened.
type Kind struct {
	// New makes options, which sinks.yaml is read into.
	New func() KindOptions
	// Open makes a sink of them. It does not wait for the far end.
	Open func(ctx context.Context, o KindOptions, d sink.Deps) (sink.Sink, error)
	// Batch are the defaults of a kind to which the general ones do not fit; zero fields are general.
	Batch Batch
}

// Kinds are all there are, by the word in sinks.yaml.
type Kinds map[string]Kind

// KindOf is a Kind with options of type O, of which P is the pointer.
func KindOf[O any, P interface {
	*O
	KindOptions
}](open func(context.Context, O, sink.Deps) (sink.Sink, error)) Kind {
	return Kind{
		New: func() KindOptions { return P(new(O)) },
		Open: func(ctx context.Context, o KindOptions, d sink.Deps) (sink.Sink, error) {
			options, ok := o.(P)
			if !ok {
				return nil, fmt.Errorf("opening a sink: options of %T for one of %T", o, P(nil))
			}
			return open(ctx, *options, d)
		},
	}
}

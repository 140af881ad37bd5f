package httpsink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/sluicehq/sluice/pkg/jsontree"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// templateVariables are what a template knows of an event beside its document. All are texts; the last
// two are empty where the event does not say.
var templateVariables = [...]string{"$id", "$type", "$occurred_at", "$received_at", "$json", "$external_id", "$braze_id"}

func variablesOf(e *sink.Event) []any {
	var external, braze string
	switch {
	case e.Engagement != nil:
		external, braze = e.Engagement.User.ExternalID, e.Engagement.User.BrazeID
	case e.Action != nil:
		external, braze = e.Action.User.ExternalID, e.Action.User.BrazeID
	}
	return []any{
		e.ID, e.Type, e.OccurredAt.UTC().Format(time.RFC3339Nano), e.ReceivedAt.UTC().Format(time.RFC3339Nano),
		string(e.JSON), external, braze,
	}
}

// patience is how long a program may run for one event or one answer. It is a thousand times what any
// honest one takes, so that a busy machine refuses nothing.
const patience = time.Second

// program is a compiled jq program. Goroutines share it.
type program struct{ code *gojq.Code }

// compile compiles a program; nil for none. No environment and no modules are given to it.
func compile(text string, variables []string) (*program, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	query, err := gojq.Parse(text)
	if err != nil {
		at := ""
		if parse, ok := errors.AsType[*gojq.ParseError](err); ok {
			before := text[:min(max(parse.Offset-1, 0), len(text))]
			at = fmt.Sprintf(", at line %d of the program", 1+strings.Count(before, "\n"))
		}
		return nil, fmt.Errorf("a jq program: %w%s", err, at)
	}
	code, err := gojq.Compile(query, gojq.WithVariables(variables))
	if err != nil {
		return nil, fmt.Errorf("a jq program: %w", err)
	}
	return &program{code}, nil
}

var errTooMany = errors.New("it yields more values than it may")

// sent is how documents and answers are read: neither Braze nor a far end has promised to name nothing twice.
var sent = jsontree.Options{Duplicates: true}

// run returns what the program yields. One that fails, does not end in time, yields more than most
// values or panics is an error.
func (p *program) run(ctx context.Context, most int, input any, variables ...any) (outputs []any, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer func() {
		if crash := recover(); crash != nil {
			outputs, err = nil, fmt.Errorf("it panicked: %v", crash)
		}
	}()
	for iter := p.code.RunWithContext(ctx, input, variables...); ; {
		v, more := iter.Next()
		if !more {
			return outputs, nil
		}
		if err, failed := v.(error); failed {
			if halt, ok := errors.AsType[*gojq.HaltError](err); ok && halt.Value() == nil {
				return outputs, nil
			}
			return nil, err
		}
		if len(outputs) == most {
			return nil, errTooMany
		}
		outputs = append(outputs, v)
	}
}

// render is the item that a template makes of an event, on one line; nil where it makes none: no value,
// or null.
func (p *program) render(ctx context.Context, e *sink.Event) ([]byte, error) {
	document, err := jsontree.Read(e.JSON, sent)
	if err != nil {
		return nil, err
	}
	outputs, err := p.run(ctx, 1, document, variablesOf(e)...)
	if err != nil {
		return nil, fmt.Errorf("running the template: %w", err)
	}
	if len(outputs) == 0 || outputs[0] == nil {
		return nil, nil
	}
	item, err := gojq.Marshal(outputs[0])
	if err != nil {
		return nil, fmt.Errorf("encoding what the template yields: %w", err)
	}
	return item, nil
}

package routes

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// deadline is how long the expressions of one record may take together. They take microseconds; who
// comes near it has written a loop. It is generous because it is measured by the clock on the wall,
// and a busy machine must not refuse what an idle one sends.
const deadline = 2 * time.Second

// program is a compiled expression.
type program struct {
	code  *gojq.Code
	query string
}

// recordVariable is the whole record, where "." is only a part of it.
const recordVariable = "$record"

// compile makes a program of an expression, with neither environment nor inputs nor modules.
func compile(text string) (*program, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("it is empty")
	}
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, err
	}
	if len(query.Imports) > 0 || query.Meta != nil {
		return nil, errors.New("modules are not available")
	}
	if err := checkCalls(reflect.ValueOf(query)); err != nil {
		return nil, err
	}
	code, err := gojq.Compile(query, gojq.WithVariables([]string{recordVariable}))
	if err != nil {
		return nil, err
	}
	return &program{code: code, query: text}, nil
}

// run collects what the program answers to an input, at most so many values.
func (p *program) run(ctx context.Context, in, record any, most int) (out []any, err error) {
	defer func() {
		// It is other people's interpreter on other people's expressions; a record may be refused for
		// it, but no process may end.
		if r := recover(); r != nil {
			out, err = nil, fmt.Errorf("the expression broke jq: %v", r)
		}
	}()
	for iter := p.code.RunWithContext(ctx, in, record); ; {
		v, ok := iter.Next()
		if !ok {
			return out, nil
		}
		if err, failed := v.(error); failed {
			if errors.Is(err, context.DeadlineExceeded) {
				return nil, fmt.Errorf("it takes longer than %v", deadline)
			}
			return nil, errors.New(brief(err.Error()))
		}
		if out = append(out, v); len(out) > most {
			return nil, fmt.Errorf("it answers more than %s", counted(most, "value"))
		}
	}
}

// one is the program's only answer; nil where it answers nothing.
func (p *program) one(ctx context.Context, in, record any) (any, error) {
	out, err := p.run(ctx, in, record, 1)
	if err != nil || len(out) == 0 {
		return nil, err
	}
	return out[0], nil
}

// true is what jq takes for true: neither false, nor null, nor nothing.
func (p *program) true(ctx context.Context, in, record any) (bool, error) {
	v, err := p.one(ctx, in, record)
	if b, ok := v.(bool); ok {
		return b, err
	}
	return v != nil, err
}

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// brief keeps a message to a length that fits a receipt: jq quotes what it complains about.
func brief(message string) string {
	const most = 300
	message = strings.ToValidUTF8(message, "\ufffd")
	if runes := []rune(message); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return message
}

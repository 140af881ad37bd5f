package httptarget

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/itchyny/gojq"
)

// patience is how long a program may run. It is a thousand times what any honest one takes, so that a busy machine
// refuses nothing.
const patience = time.Second

// program is a compiled jq program. Goroutines share it.
type program struct{ code *gojq.Code }

// compile compiles a program; nil for none. No environment and no modules are given to it.
func compile(text string) (*program, error) {
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
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, fmt.Errorf("a jq program: %w", err)
	}
	return &program{code}, nil
}

var (
	errTooMany = errors.New("it yields more than one value")
	errNothing = errors.New("it yields nothing")
)

// run returns the one value that the program yields; errNothing where it yields none. One that fails, does not end in
// time, yields more or panics is an error.
func (p *program) run(ctx context.Context, input any) (output any, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	defer func() {
		if crash := recover(); crash != nil {
			output, err = nil, fmt.Errorf("it panicked: %v", crash)
		}
	}()
	some := false
	for iter := p.code.RunWithContext(ctx, input); ; {
		v, more := iter.Next()
		if !more {
			break
		}
		if err, failed := v.(error); failed {
			if halt, ok := errors.AsType[*gojq.HaltError](err); ok && halt.Value() == nil {
				break
			}
			return nil, err
		}
		if some {
			return nil, errTooMany
		}
		output, some = v, true
	}
	if !some {
		return nil, errNothing
	}
	return output, nil
}

package rules

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/itchyny/gojq"
)

// program is a compiled jq program. Goroutines share it.
type program struct {
	code *gojq.Code
	path []string // of a program that is nothing but one, such as .user.external_id; nil of any other
}

// compile makes a program of a text, with neither environment nor inputs nor modules.
func compile(text string) (*program, error) {
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, at(text, err)
	}
	if len(query.Imports) > 0 || query.Meta != nil {
		return nil, errors.New("modules are not available")
	}
	if err := checkCalls(reflect.ValueOf(query)); err != nil {
		return nil, err
	}
	code, err := gojq.Compile(query)
	if err != nil {
		return nil, err
	}
	return &program{code: code, path: pathOf(query)}, nil
}

// at names the line of a program that has several.
func at(text string, err error) error {
	parse, ok := errors.AsType[*gojq.ParseError](err)
	if !ok || !strings.Contains(strings.TrimSpace(text), "\n") {
		return err
	}
	before := text[:min(max(parse.Offset-1, 0), len(text))]
	return fmt.Errorf("%w, at line %d of the program", err, 1+strings.Count(before, "\n"))
}

// pathOf is the way of keys that a query is, and all that most programs are: walking it takes a tenth of the time that
// the interpreter does.
func pathOf(q *gojq.Query) []string {
	if q.Term == nil || q.Left != nil || q.Right != nil || len(q.FuncDefs) > 0 || len(q.Patterns) > 0 {
		return nil
	}
	t := q.Term
	if t.Type != gojq.TermTypeIndex || t.Index == nil || t.Index.Name == "" {
		return nil
	}
	path := []string{t.Index.Name}
	for _, s := range t.SuffixList {
		if s.Index == nil || s.Index.Name == "" || s.Iter || s.Optional {
			return nil
		}
		path = append(path, s.Index.Name)
	}
	return path
}

// walk is what a path finds; ok is false where the interpreter has to say what is wrong.
func walk(in any, path []string) (out any, ok bool) {
	for _, name := range path {
		switch v := in.(type) {
		case map[string]any:
			in = v[name]
		case nil:
			return nil, true
		default:
			return nil, false
		}
	}
	return in, true
}

// one is the program's only answer, and whether there is one.
func (p *program) one(r *run, in any) (out any, some bool, err error) {
	if p.path != nil {
		if out, ok := walk(in, p.path); ok {
			return out, true, nil
		}
	}
	defer func() {
		// It is other people's interpreter on other people's programs; a record may be refused for it, but no process
		// may end.
		if crash := recover(); crash != nil {
			out, some, err = nil, false, fmt.Errorf("the program broke jq: %v", crash)
		}
	}()
	for iter := p.code.RunWithContext(r.context(), in); ; {
		v, more := iter.Next()
		if !more {
			return out, some, nil
		}
		if err, failed := v.(error); failed {
			if errors.Is(err, context.DeadlineExceeded) {
				return nil, false, fmt.Errorf("it takes longer than %v", Patience)
			}
			return nil, false, errors.New(brief(err.Error()))
		}
		if some {
			return nil, false, errors.New("it answers more than one value")
		}
		out, some = v, true
	}
}

// true is what jq takes for true: neither false, nor null, nor nothing.
func (p *program) true(r *run, in any) (bool, error) {
	v, _, err := p.one(r, in)
	if b, ok := v.(bool); ok {
		return b, err
	}
	return v != nil, err
}

// run is the time that the programs of one record have together. It begins with the first that needs the interpreter.
type run struct {
	ctx  context.Context //nolint:containedctx // it lives as long as one call does
	stop context.CancelFunc
}

func (r *run) context() context.Context {
	if r.ctx == nil {
		r.ctx, r.stop = context.WithTimeout(context.Background(), Patience)
	}
	return r.ctx
}

func (r *run) end() {
	if r.stop != nil {
		r.stop()
	}
}

// brief keeps a message to a length that fits a dead letter: jq quotes what it complains about.
func brief(message string) string {
	const most = 300
	message = strings.ToValidUTF8(message, "\ufffd")
	if runes := []rune(message); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return message
}

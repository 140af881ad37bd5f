package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/itchyny/gojq"
)

// programs are all of a source, compiled.
type programs struct {
	settings                           map[string]any
	kind, dedup, time, who, remembered *program // nil where the source has none
	order                              *program // likewise
	refuse, ignore                     []condition
	exact                              map[string]*program
	prefixes                           []prefixed // longest first
	rest                               *program
	poll                               pollPrograms
}

// condition is a reason, and when it holds.
type condition struct {
	reason string
	when   *program
}

// prefixed is the program for all kinds that begin so.
type prefixed struct {
	prefix  string
	program *program
}

// program is one jq program.
type program struct {
	what string // the field it stands in
	code *gojq.Code
}

// maxOutputs bounds what one program can yield.
const maxOutputs = 500

// compile makes the programs of a source. What is wrong comes back together.
func compile(spec *Spec, settings map[string]any, m *memory) (programs, error) {
	c := compiler{options: append(functions(m), gojq.WithVariables([]string{"$settings"}))}
	c.define("prelude", prelude)
	c.define("functions", spec.Functions)
	p := programs{
		settings: settings,
		kind:     c.program("kind", spec.Kind), dedup: c.program("dedup", spec.Dedup), time: c.program("time", spec.Time),
		who: c.program("identity", spec.Identity), remembered: c.program("remember", spec.Remember),
		order: c.program("order", spec.Order),
		exact: map[string]*program{}, poll: c.pollPrograms(&spec.Poll),
	}
	for _, reason := range slices.Sorted(maps.Keys(spec.Refuse)) {
		p.refuse = append(p.refuse, condition{reason, c.program("refuse."+reason, spec.Refuse[reason])})
	}
	for _, reason := range slices.Sorted(maps.Keys(spec.Ignore)) {
		p.ignore = append(p.ignore, condition{reason, c.program("ignore."+reason, spec.Ignore[reason])})
	}
	for _, kind := range slices.Sorted(maps.Keys(spec.Map)) {
		one := c.program("map."+kind, spec.Map[kind])
		prefix, open := strings.CutSuffix(kind, "*")
		switch {
		case one == nil:
			c.problems = append(c.problems, problem("map."+kind, "a jq program; empty, the word, for kinds of which nothing becomes"))
		case kind == "*":
			p.rest = one
		case open:
			p.prefixes = append(p.prefixes, prefixed{prefix, one})
		default:
			p.exact[kind] = one
		}
	}
	slices.SortStableFunc(p.prefixes, func(a, b prefixed) int { return len(b.prefix) - len(a.prefix) })
	return p, errors.Join(c.problems...)
}

// of is the program for a kind, or nil.
func (p *programs) of(kind string) *program {
	if one := p.exact[kind]; one != nil {
		return one
	}
	for _, candidate := range p.prefixes {
		if strings.HasPrefix(kind, candidate.prefix) {
			return candidate.program
		}
	}
	return p.rest
}

// compiler compiles programs that share definitions.
type compiler struct {
	options     []gojq.CompilerOption
	definitions []*gojq.FuncDef
	problems    []error
}

func (c *compiler) define(field, text string) {
	if strings.TrimSpace(text) == "" {
		return
	}
	query, err := gojq.Parse(text)
	if err != nil {
		c.wrong(field, text, err)
		return
	}
	c.definitions = append(c.definitions, query.FuncDefs...)
}

// program compiles one; nil where there is none.
func (c *compiler) program(field, text string) *program {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	query, err := gojq.Parse(text)
	if err != nil {
		c.wrong(field, text, err)
		return nil
	}
	query.FuncDefs = slices.Concat(c.definitions, query.FuncDefs)
	code, err := gojq.Compile(query, c.options...)
	if err != nil {
		c.wrong(field, text, err)
		return nil
	}
	return &program{field, code}
}

// wrong records a program that cannot be compiled, with the line within it where that is known.
func (c *compiler) wrong(field, text string, err error) {
	at := ""
	var parse *gojq.ParseError
	if errors.As(err, &parse) {
		before := text[:min(max(parse.Offset-1, 0), len(text))]
		at = fmt.Sprintf(", at line %d of the program", 1+strings.Count(before, "\n"))
	}
	c.problems = append(c.problems, problem(field, "a jq program: "+err.Error()+at))
}

// run returns all that the program yields. A program that fails, does not end in time, yields too much
// or panics is an error; it never takes anything else down.
func (p *program) run(ctx context.Context, settings map[string]any, input any) ([]any, error) {
	return p.runUpTo(ctx, settings, input, maxOutputs)
}

func (p *program) runUpTo(ctx context.Context, settings map[string]any, input any, most int) (outputs []any, err error) {
	defer func() {
		if crash := recover(); crash != nil {
			outputs, err = nil, fmt.Errorf("%s: it panicked: %v", p.what, crash)
		}
	}()
	for iter := p.code.RunWithContext(ctx, input, settings); ; {
		v, more := iter.Next()
		if !more {
			return outputs, nil
		}
		if err, failed := v.(error); failed {
			return nil, fmt.Errorf("%s: %w", p.what, shortened(err))
		}
		if len(outputs) == most {
			return nil, fmt.Errorf("%s: it yields more than %d values", p.what, most)
		}
		outputs = append(outputs, v)
	}
}

// first is what the program yields first, or nil.
func (p *program) first(ctx context.Context, settings map[string]any, input any) (any, error) {
	outputs, err := p.run(ctx, settings, input)
	if err != nil || len(outputs) == 0 {
		return nil, err
	}
	return outputs[0], nil
}

// holds reports whether the program's answer is neither false nor null, which is jq's idea of true.
func (p *program) holds(ctx context.Context, settings map[string]any, input any) (bool, error) {
	v, err := p.first(ctx, settings, input)
	return v != nil && v != false, err
}

// shortError is an error whose words do not repeat all of a body.
type shortError struct{ error }

func (e shortError) Unwrap() error { return e.error }

func (e shortError) Error() string {
	text := e.error.Error()
	if len(text) > longestError {
		return strings.ToValidUTF8(text[:longestError], "") + "…"
	}
	return text
}

const longestError = 300

func shortened(err error) error { return shortError{err} }

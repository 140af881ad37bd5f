package routes

import (
	"context"
	"errors"
	"fmt"
)

// shape is what properties are made by: one expression for the object, or one for each member.
type shape struct {
	whole *program
	names []string
	parts []*program
	all   *program // [[part], [part], …], so that a record needs a single run
}

// of makes the properties of a record, or of a part of it.
func (s *shape) of(a *application, part *any, most int) ([]byte, error) {
	view, err := a.view()
	if err != nil {
		return nil, err
	}
	var in any = view
	if part != nil {
		in = *part
	}
	if s.whole == nil {
		return s.members(a.ctx, in, view, most)
	}
	v, err := s.whole.one(a.ctx, in, view)
	if err != nil {
		return nil, within("properties", err)
	}
	if v == nil {
		return nil, nil
	}
	if _, ok := v.(map[string]any); !ok {
		return nil, errors.New("properties: want an object")
	}
	text, err := encode(v, most)
	return text, within("properties", err)
}

// members keeps the file's order and leaves out what is null: a property that Braze would store as
// nothing is better not there.
func (s *shape) members(ctx context.Context, in, record any, most int) ([]byte, error) {
	v, err := s.all.one(ctx, in, record)
	if err != nil {
		return nil, s.culprit(ctx, in, record, err)
	}
	answers, _ := v.([]any)
	if len(answers) != len(s.names) {
		return nil, errors.New("properties: jq answered something else")
	}
	o := object{dst: []byte{'{'}}
	for i, name := range s.names {
		answer, _ := answers[i].([]any)
		if len(answer) > 1 {
			return nil, fmt.Errorf("properties.%s: it answers more than 1 value", name)
		}
		if len(answer) == 0 || answer[0] == nil {
			continue
		}
		text, err := encode(answer[0], most-len(o.dst))
		if err != nil {
			return nil, within("properties."+name, err)
		}
		o.raw(name, text)
	}
	if len(o.dst) >= most {
		return nil, fmt.Errorf("properties: larger than the %d bytes that Braze takes", most)
	}
	return append(o.dst, '}'), nil
}

// culprit finds the member whose expression failed.
func (s *shape) culprit(ctx context.Context, in, record any, failed error) error {
	for i, p := range s.parts {
		if _, err := p.run(ctx, in, record, 1); err != nil {
			return within("properties."+s.names[i], err)
		}
	}
	return within("properties", failed)
}

package httptarget

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/itchyny/gojq"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// request is one call, made and not sent.
type request struct {
	rows   []*target.Row
	input  map[string]any
	id     string
	method string
	url    *url.URL
	header http.Header // without credentials
	body   []byte      // nil for none
}

// Reasons of rows that never leave.
const (
	reasonTemplate = "template_error"
	reasonLeftOut  = "nothing_to_write"
)

// request runs the programs, or says what becomes of rows for which they fail.
func (s *settings) request(ctx context.Context, rows []*target.Row) (*request, *target.Answer) {
	q, err := s.compose(ctx, rows)
	if err == nil {
		return q, nil
	}
	var a target.Answer
	switch {
	case ctx.Err() != nil:
		a = target.Deferred(wire.Interrupted, "", 0)
	case errors.Is(err, errLeftOut):
		a = target.Answer{All: outcome.Outcome{Kind: outcome.Skipped, Reason: reasonLeftOut}}
	case errors.Is(err, errLongBody):
		a = wire.RejectedOf(len(rows), wire.TooLarge, err.Error())
	default:
		a = wire.RejectedOf(len(rows), reasonTemplate, wire.Printable(err.Error()))
	}
	return nil, &a
}

var (
	errLeftOut  = errors.New("the program body yields nothing")
	errLongBody = fmt.Errorf("the body is longer than %d bytes", maxBody)
)

func (s *settings) compose(ctx context.Context, rows []*target.Row) (*request, error) {
	q := &request{rows: rows, id: s.idOf(rows), method: s.method}
	var err error
	if q.input, err = s.inputOf(rows, q.id); err != nil {
		return nil, err
	}
	if q.url, err = s.addressOf(ctx, q.input); err != nil {
		return nil, fmt.Errorf("running path: %w", err)
	}
	if s.methodFrom != nil {
		if q.method, err = text(s.methodFrom.run(ctx, q.input)); err != nil {
			return nil, fmt.Errorf("running method: %w", err)
		}
		if !slices.Contains(methods, q.method) {
			return nil, fmt.Errorf("running method: %q is none of %s", q.method, strings.Join(methods, ", "))
		}
	}
	if q.header, err = s.headerOf(ctx, q); err != nil {
		return nil, fmt.Errorf("running headers_from: %w", err)
	}
	return q, s.fill(ctx, q)
}

// fill makes the body.
func (s *settings) fill(ctx context.Context, q *request) error {
	value, err := s.body.run(ctx, q.input)
	switch {
	case errors.Is(err, errNothing):
		return errLeftOut
	case err != nil:
		return fmt.Errorf("running body: %w", err)
	case value == nil:
		q.header.Del("Content-Type")
		return nil
	case s.Encoding == encodingForm:
		q.body, err = appendForm(nil, value)
	default:
		q.body, err = gojq.Marshal(value)
	}
	if err != nil {
		return fmt.Errorf("encoding what body yields: %w", err)
	}
	if len(q.body) > maxBody {
		return errLongBody
	}
	return nil
}

// headerOf are the headers of one request, without credentials.
func (s *settings) headerOf(ctx context.Context, q *request) (http.Header, error) {
	h := s.header.Clone()
	if s.headersFrom != nil {
		value, err := s.headersFrom.run(ctx, q.input)
		more, ok := value.(map[string]any)
		switch {
		case err != nil:
			return nil, err
		case value != nil && !ok:
			return nil, errors.New("it yields no object")
		}
		for name, value := range more {
			if value == nil {
				continue
			}
			word, err := text(value, nil)
			if err != nil {
				return nil, fmt.Errorf("header %s: %w", wire.Printable(name), err)
			}
			if wrong := badHeader(name, word); wrong != "" {
				return nil, fmt.Errorf("header %s: expected %s", wire.Printable(name), wrong)
			}
			h.Set(name, word)
		}
	}
	if s.IDHeader != "" {
		h.Set(s.IDHeader, q.id)
	}
	return h, nil
}

// text is a value that is to be a text: one, a number as it was sent, or a boolean.
func text(value any, err error) (string, error) {
	if err != nil {
		return "", err
	}
	switch v := value.(type) {
	case string:
		return v, nil
	case nil, map[string]any, []any:
		return "", errors.New("it yields no text")
	}
	word, err := gojq.Marshal(value)
	return string(word), err
}

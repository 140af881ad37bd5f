package salesforcefake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var errNoAck = errors.New("telling of changes: not acknowledged")

func (o *outlet) send(ctx context.Context, batch []pending) error {
	body, kind := o.json(batch), "application/json"
	if o.Form == SOAP {
		body, kind = o.soap(batch), "text/xml; charset=utf-8"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("telling of changes: %w", err)
	}
	req.Header.Set("Content-Type", kind)
	if o.Form == SOAP {
		req.Header.Set("SOAPAction", `""`)
	}
	if o.Key != "" {
		req.Header.Set("Authorization", "Bearer "+o.Key.Reveal())
	}
	resp, err := o.s.opts.HTTP.Do(req)
	if err != nil {
		return fmt.Errorf("telling of changes: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("telling of changes: %w", err)
	}
	if o.Form == SOAP && !acknowledged(resp, answer) || resp.StatusCode/100 != 2 {
		return errNoAck
	}
	return nil
}

// told is an element of POST /v1/crm/changes.
type told struct {
	ID       string                    `json:"id"`
	System   string                    `json:"system"`
	Object   string                    `json:"object"`
	ObjectID string                    `json:"object_id"`
	User     map[string]string         `json:"user,omitzero"`
	Changes  map[string]jsontext.Value `json:"changes"`
	Version  int64                     `json:"version"`
	Time     time.Time                 `json:"time"`
	Actor    string                    `json:"actor"`
}

func (o *outlet) json(batch []pending) []byte {
	all := make([]told, 0, len(batch))
	for _, p := range batch {
		t := told{
			ID: p.id, System: o.System, Object: p.Object, ObjectID: p.ID, Changes: p.Fields, Version: p.Seq, Time: p.At, Actor: p.Actor,
		}
		if t.Changes == nil {
			t.Changes = map[string]jsontext.Value{}
		}
		if r, ok := o.s.record(p.Object, p.ID); ok && o.Identity != "" && r.Fields[o.Identity] != nil {
			t.User = map[string]string{"external_id": r.Text(o.Identity)}
		}
		all = append(all, t)
	}
	text, err := json.Marshal(all, json.Deterministic(true))
	if err != nil {
		return []byte("[]")
	}
	return text
}

// record is a copy of a record.
func (s *Sandbox) record(object, id string) (Record, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.table(object)
	if t == nil || t.records[id] == nil {
		return Record{}, false
	}
	return t.records[id].clone(), true
}

// Get returns a record by its id.
func (s *Sandbox) Get(object, id string) (Record, bool) { return s.record(object, fullID(id)) }

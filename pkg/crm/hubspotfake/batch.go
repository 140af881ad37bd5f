package hubspotfake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// maxInputs is how many inputs a batch may have (hubspot: CRM API, batch endpoints).
const maxInputs = 100

type input struct {
	ID         string            `json:"id"`
	IDProperty string            `json:"idProperty,omitzero"`
	TraceID    string            `json:"objectWriteTraceId,omitzero"`
	Properties map[string]string `json:"properties"`
}

type result struct {
	ID         string            `json:"id"`
	Properties map[string]string `json:"properties"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`
	Archived   bool              `json:"archived"`
	New        *bool             `json:"new,omitzero"`
	TraceID    string            `json:"objectWriteTraceId,omitzero"`
}

type rowError struct {
	Status   string              `json:"status"`
	Category string              `json:"category"`
	Message  string              `json:"message"`
	Context  map[string][]string `json:"context"`
}

type batchAnswer struct {
	Status      string     `json:"status"`
	Results     []result   `json:"results"`
	NumErrors   int        `json:"numErrors,omitzero"`
	Errors      []rowError `json:"errors,omitzero"`
	StartedAt   time.Time  `json:"startedAt"`
	CompletedAt time.Time  `json:"completedAt"`
}

func (s *Sandbox) finish(a batchAnswer) reply {
	a.Status, a.StartedAt, a.CompletedAt = "COMPLETE", s.options.Now().UTC(), s.options.Now().UTC()
	if a.Results == nil {
		a.Results = []result{}
	}
	if a.NumErrors = len(a.Errors); a.NumErrors > 0 {
		return reply{status: http.StatusMultiStatus, body: a}
	}
	return reply{status: http.StatusOK, body: a}
}

// parse reads a batch and refuses what fails it as a whole.
func (s *Sandbox) parse(c *call, into *struct {
	Inputs []input `json:"inputs"`
},
) (*kind, *reply) {
	k := s.store.types[c.r.PathValue("type")]
	if k == nil {
		return nil, invalid("Unable to infer object type from: " + c.r.PathValue("type"))
	}
	if err := json.Unmarshal(c.body, into, json.RejectUnknownMembers(true)); err != nil {
		return nil, invalid("Invalid input JSON: " + err.Error())
	}
	if n := len(into.Inputs); n == 0 || n > maxInputs {
		return nil, invalid(fmt.Sprintf("The maximum number of inputs is %d, and one is needed; there are %d", maxInputs, n))
	}
	seen := map[string]bool{}
	for _, in := range into.Inputs {
		switch {
		case in.ID == "":
			return nil, invalid("id must not be blank")
		case in.IDProperty != into.Inputs[0].IDProperty:
			return nil, invalid("All inputs must have the same idProperty")
		case in.IDProperty != "" && k.unique[in.IDProperty] == nil:
			return nil, invalid("Property " + in.IDProperty + " is not a unique property")
		case seen[strings.ToLower(in.ID)]:
			return nil, invalid("Duplicate IDs found in batch input: [" + in.ID + "]. IDs must be unique")
		}
		seen[strings.ToLower(in.ID)] = true
		if wrong := k.checkNames(in.Properties); wrong != "" {
			return nil, invalid(wrong)
		}
	}
	return k, nil
}

// checkNames says what fails a whole call: a property that is not there or cannot be set, or an address that is none.
func (k *kind) checkNames(properties map[string]string) string {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		switch p := k.properties[name]; {
		case p == nil:
			return "Property values were not valid: Property \"" + name + "\" does not exist"
		case p.ReadOnly:
			return "Property values were not valid: \"" + name + "\" is a read only property; its value cannot be set"
		case p.Type == "email" && properties[name] != "" && !isAddress(properties[name]):
			return "Property values were not valid: Email address is invalid: " + properties[name]
		}
	}
	return ""
}

func (s *Sandbox) upsert(c *call) reply {
	var body struct {
		Inputs []input `json:"inputs"`
	}
	k, bad := s.parse(c, &body)
	if bad != nil {
		return *bad
	}
	if body.Inputs[0].IDProperty == "" {
		return *invalid("idProperty is needed")
	}
	var a batchAnswer
	for _, in := range body.Inputs {
		properties := maps.Clone(in.Properties)
		if properties == nil {
			properties = map[string]string{}
		}
		if _, said := properties[in.IDProperty]; !said {
			properties[in.IDProperty] = in.ID
		}
		s.write(c, k, k.find(in.IDProperty, in.ID), in, properties, &a)
	}
	return s.finish(a)
}

func (s *Sandbox) update(c *call) reply {
	var body struct {
		Inputs []input `json:"inputs"`
	}
	k, bad := s.parse(c, &body)
	if bad != nil {
		return *bad
	}
	var a batchAnswer
	for _, in := range body.Inputs {
		o := k.find(in.IDProperty, in.ID)
		if o == nil {
			a.fail(in, &failure{"OBJECT_NOT_FOUND", "Could not get some objects, they may be deleted or not exist. Check that ids are valid."})
			continue
		}
		s.write(c, k, o, in, in.Properties, &a)
	}
	return s.finish(a)
}

// write writes one row; o is nil where an object is to be made.
func (s *Sandbox) write(c *call, k *kind, o *Object, in input, properties map[string]string, a *batchAnswer) {
	why := k.check(o, properties)
	if why == nil && chance(s.dice, s.knobs.PRow) {
		why = &failure{"VALIDATION_ERROR", "It is a bad day"}
	}
	if why != nil {
		a.fail(in, why)
		return
	}
	made := o == nil
	now := s.options.Now().UTC()
	if made {
		o = s.store.add(k, now)
	}
	changed := k.put(o, properties, now)
	s.store.remember(Write{
		Call: c.number, Type: k.name, ObjectID: o.ID, IDProperty: in.IDProperty, Key: in.ID, TraceID: in.TraceID,
		Properties: maps.Clone(in.Properties), New: made, Source: sourceIntegration, At: now,
	})
	s.tell(k, o, changed, made, sourceIntegration, fmt.Sprint(s.options.AppID))
	r := o.result()
	r.New, r.TraceID = &made, in.TraceID
	a.Results = append(a.Results, r)
}

func (o *Object) result() result {
	return result{ID: o.ID, Properties: maps.Clone(o.Properties), CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt}
}

func (a *batchAnswer) fail(in input, why *failure) {
	context := map[string][]string{"ids": {in.ID}}
	if in.TraceID != "" {
		context = map[string][]string{"objectWriteTraceId": {in.TraceID}}
	}
	a.Errors = append(a.Errors, rowError{Status: "error", Category: why.category, Message: why.message, Context: context})
}

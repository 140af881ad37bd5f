package hubspotfake

import (
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// read answers objects by id or by a unique property; those that are not there are named in one error.
func (s *Sandbox) read(c *call) reply {
	k := s.store.types[c.r.PathValue("type")]
	if k == nil {
		return *invalid("Unable to infer object type from: " + c.r.PathValue("type"))
	}
	var body struct {
		IDProperty  string   `json:"idProperty,omitzero"`
		Properties  []string `json:"properties"`
		WithHistory []string `json:"propertiesWithHistory,omitzero"`
		Inputs      []struct {
			ID string `json:"id"`
		} `json:"inputs"`
	}
	if err := json.Unmarshal(c.body, &body, json.RejectUnknownMembers(true)); err != nil {
		return *invalid("Invalid input JSON: " + err.Error())
	}
	if n := len(body.Inputs); n == 0 || n > maxInputs || body.IDProperty != "" && k.unique[body.IDProperty] == nil {
		return *invalid("A batch has 1 to 100 inputs, and idProperty is a unique property")
	}
	var a batchAnswer
	var missing []string
	seen := map[string]bool{}
	for _, in := range body.Inputs {
		if seen[in.ID] {
			return *invalid("Duplicate IDs found in batch input: [" + in.ID + "]. IDs must be unique")
		}
		seen[in.ID] = true
		o := k.find(body.IDProperty, in.ID)
		if o == nil {
			missing = append(missing, in.ID)
			continue
		}
		r := o.result()
		maps.DeleteFunc(r.Properties, func(name, _ string) bool {
			return name != "hs_object_id" && !slices.Contains(body.Properties, name)
		})
		a.Results = append(a.Results, r)
	}
	if missing != nil {
		a.Errors = []rowError{{
			Status: "error", Category: "OBJECT_NOT_FOUND", Context: map[string][]string{"ids": missing},
			Message: "Could not get some " + strings.ToUpper(k.name) + " objects, they may be deleted or not exist. Check that ids are valid.",
		}}
	}
	return s.finish(a)
}

package hubspotfake

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
)

// associate links objects by the association that is the default between their kinds (hubspot: associations v4). To
// link twice what is linked is no error.
func (s *Sandbox) associate(c *call) reply {
	from, to := s.store.types[c.r.PathValue("from")], s.store.types[c.r.PathValue("to")]
	if from == nil || to == nil {
		return *invalid("Unable to infer object type")
	}
	type end struct {
		ID string `json:"id"`
	}
	var body struct {
		Inputs []struct {
			From end `json:"from"`
			To   end `json:"to"`
		} `json:"inputs"`
	}
	if err := json.Unmarshal(c.body, &body, json.RejectUnknownMembers(true)); err != nil {
		return *invalid("Invalid input JSON: " + err.Error())
	}
	if n := len(body.Inputs); n == 0 || n > maxInputs {
		return *invalid(fmt.Sprintf("A batch has 1 to %d inputs", maxInputs))
	}
	type link struct {
		From end `json:"from"`
		To   end `json:"to"`
	}
	a := struct {
		Status      string     `json:"status"`
		Results     []link     `json:"results"`
		NumErrors   int        `json:"numErrors,omitzero"`
		Errors      []rowError `json:"errors,omitzero"`
		CompletedAt time.Time  `json:"completedAt"`
	}{Status: "COMPLETE", Results: []link{}, CompletedAt: s.options.Now().UTC()}
	for _, in := range body.Inputs {
		o := from.objects[in.From.ID]
		if o == nil || to.objects[in.To.ID] == nil {
			a.Errors = append(a.Errors, rowError{
				Status: "error", Category: "OBJECT_NOT_FOUND", Message: "No object with that id",
				Context: map[string][]string{"fromObjectId": {in.From.ID}, "toObjectId": {in.To.ID}},
			})
			continue
		}
		if !slices.Contains(o.About, in.To.ID) {
			o.About = append(o.About, in.To.ID)
		}
		a.Results = append(a.Results, link(in))
	}
	if a.NumErrors = len(a.Errors); a.NumErrors > 0 {
		return reply{status: http.StatusMultiStatus, body: a}
	}
	return reply{status: http.StatusOK, body: a}
}

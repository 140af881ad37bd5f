package salesforcefake

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// run does a job's work.
func (s *Sandbox) run(c *call, j *job) {
	t := s.table(j.Object)
	header := j.lines[0]
	key := slices.Index(header, j.External)
	for _, column := range header {
		if _, _, ok := t.column(column, "x"); !ok || key < 0 {
			j.State, j.Message, j.undone = "Failed", "InvalidBatch : Field name not found : "+column, j.lines[1:]
			return
		}
	}
	as := *c
	as.user, as.api = j.user, "bulk"
	seen := map[string]bool{}
	j.State = "JobComplete"
	for n, line := range j.lines[1:] {
		if c.knobs.JobStops > 0 && n == c.knobs.JobStops {
			j.State, j.Message, j.undone = "Failed", "InternalServerError : the job has stopped", j.lines[1+n:]
			return
		}
		j.Processed++
		r := row{object: t.Name}
		for i, cell := range line {
			if cell == "" {
				continue
			}
			name, value, _ := t.column(header[i], cell)
			r.members = append(r.members, member{name, value})
		}
		r.raw = r.text()
		a := s.upsertRow(&as, t, t.field(j.External), &r, seen)
		if a.Success {
			j.good = append(j.good, append([]string{a.ID, strconv.FormatBool(*a.Created)}, line...))
			continue
		}
		j.Failed++
		e := a.Errors[0]
		j.bad = append(j.bad, append([]string{"", fmt.Sprintf("%s:%s:%s --", e.StatusCode, e.Message, strings.Join(e.Fields, " "))}, line...))
	}
}

// text is a row of CSV as the record that it means.
func (r *row) text() jsontext.Value {
	text := []byte{'{'}
	for i, m := range r.members {
		if i > 0 {
			text = append(text, ',')
		}
		text, _ = jsontext.AppendQuote(text, m.name)
		text = append(append(text, ':'), m.value...)
	}
	return append(text, '}')
}

// column reads a cell: of a field, or of a parent's external id as Account.Key__c or Contact:Who.Key__c.
func (t *table) column(header, cell string) (string, jsontext.Value, bool) {
	quoted, _ := jsontext.AppendQuote(nil, cell)
	if parent, key, ok := strings.Cut(header, "."); ok {
		object, relation, typed := strings.Cut(parent, ":")
		attributes := ""
		if !typed {
			relation = object
		} else {
			attributes = `"attributes":{"type":` + strconv.Quote(object) + `},`
		}
		if t.field(relation+"Id") == nil {
			return "", nil, false
		}
		return relation, jsontext.Value("{" + attributes + strconv.Quote(key) + ":" + string(quoted) + "}"), true
	}
	f := t.field(header)
	switch {
	case f == nil:
		return "", nil, false
	case cell == "#N/A":
		return f.Name, jsontext.Value("null"), true
	case f.Type == Checkbox && (strings.EqualFold(cell, "true") || strings.EqualFold(cell, "false")):
		return f.Name, jsontext.Value(strings.ToLower(cell)), true
	}
	return f.Name, quoted, true
}

func (s *Sandbox) jobList(c *call) answer {
	j, bad := s.jobOf(c)
	if bad != nil {
		return *bad
	}
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	if !j.ended() || j.lines == nil {
		return failed(http.StatusBadRequest, "INVALIDJOBSTATE", "the job has not ended")
	}
	lists := map[string]struct {
		own   []string
		lines [][]string
	}{
		"successfulResults":  {[]string{"sf__Id", "sf__Created"}, j.good},
		"failedResults":      {[]string{"sf__Id", "sf__Error"}, j.bad},
		"unprocessedrecords": {nil, j.undone},
	}
	list, ok := lists[c.r.PathValue("list")]
	if !ok {
		return notFound()
	}
	_ = w.Write(append(slices.Clone(list.own), j.lines[0]...))
	_ = w.WriteAll(list.lines)
	return answer{status: http.StatusOK, text: out.Bytes(), kind: "text/csv"}
}

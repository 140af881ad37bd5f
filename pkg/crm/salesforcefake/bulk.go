package salesforcefake

import (
	"bytes"
	"encoding/csv"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// job is one of Bulk API 2.0.
type job struct {
	ID        string `json:"id"`
	Operation string `json:"operation"`
	Object    string `json:"object"`
	External  string `json:"externalIdFieldName,omitempty"`
	State     string `json:"state"`
	Content   string `json:"contentType"`
	LineEnd   string `json:"lineEnding"`
	URL       string `json:"contentUrl,omitempty"`
	Processed int    `json:"numberRecordsProcessed"`
	Failed    int    `json:"numberRecordsFailed"`
	Message   string `json:"errorMessage,omitempty"`

	user   string
	lines  [][]string // the first is the header
	polls  int
	good   [][]string
	bad    [][]string
	undone [][]string
}

func (s *Sandbox) createJob(c *call) answer {
	var o struct {
		Operation string `json:"operation"`
		Object    string `json:"object"`
		External  string `json:"externalIdFieldName"`
		Content   string `json:"contentType"`
		LineEnd   string `json:"lineEnding"`
		Delimiter string `json:"columnDelimiter"`
	}
	if err := json.Unmarshal(c.body, &o, json.RejectUnknownMembers(true)); err != nil {
		return noJSON(err)
	}
	t := s.table(o.Object)
	switch {
	case t == nil:
		return failed(http.StatusBadRequest, "INVALIDENTITY", "'%s' is not a valid object", o.Object)
	case o.Operation != "upsert":
		return failed(http.StatusBadRequest, "INVALIDJOB", "this sandbox does upsert only")
	case o.Content != "" && o.Content != "CSV", o.Delimiter != "" && o.Delimiter != "COMMA":
		return failed(http.StatusBadRequest, "INVALIDJOB", "unsupported content type")
	case t.field(o.External) == nil || !t.field(o.External).ExternalID:
		return failed(http.StatusBadRequest, "INVALIDJOB", "'%s' is no external id of %s", o.External, t.Name)
	}
	j := &job{
		ID: s.newID("750"), Operation: o.Operation, Object: t.Name, External: t.field(o.External).Name, State: "Open",
		Content: "CSV", LineEnd: o.LineEnd, user: c.user,
	}
	j.URL = "services/data/" + c.r.PathValue("version") + "/jobs/ingest/" + j.ID + "/batches"
	s.jobs[j.ID] = j
	return answer{status: http.StatusOK, value: j}
}

func (s *Sandbox) jobOf(c *call) (*job, *answer) {
	j := s.jobs[fullID(c.r.PathValue("id"))]
	if j == nil {
		a := notFound()
		return nil, &a
	}
	return j, nil
}

func (s *Sandbox) fillJob(c *call) answer {
	j, bad := s.jobOf(c)
	if bad != nil {
		return *bad
	}
	if !strings.HasPrefix(c.r.Header.Get("Content-Type"), "text/csv") {
		return failed(http.StatusUnsupportedMediaType, "INVALIDCONTENTTYPE", "a job's data is text/csv")
	}
	if j.State != "Open" || j.lines != nil {
		return failed(http.StatusBadRequest, "INVALIDJOBSTATE", "the job takes no data any more")
	}
	if !utf8.Valid(c.body) {
		return failed(http.StatusBadRequest, "CLIENTINPUTERROR", "not UTF-8")
	}
	lines, err := csv.NewReader(bytes.NewReader(c.body)).ReadAll()
	if err != nil || len(lines) == 0 {
		return failed(http.StatusBadRequest, "CLIENTINPUTERROR", "not CSV: %v", err)
	}
	j.lines, c.rows = lines, len(lines)-1
	return answer{status: http.StatusCreated}
}

func (s *Sandbox) closeJob(c *call) answer {
	j, bad := s.jobOf(c)
	if bad != nil {
		return *bad
	}
	var o struct {
		State string `json:"state"`
	}
	if err := json.Unmarshal(c.body, &o, json.RejectUnknownMembers(true)); err != nil {
		return noJSON(err)
	}
	switch {
	case o.State == "Aborted" && !j.ended():
		j.State = "Aborted"
	case o.State == "UploadComplete" && j.State == "Open" && j.lines != nil:
		j.State = "UploadComplete"
	default:
		return failed(http.StatusBadRequest, "INVALIDJOBSTATE", "a job cannot go from %s to %s", j.State, o.State)
	}
	return answer{status: http.StatusOK, value: j}
}

func (j *job) ended() bool {
	return j.State == "JobComplete" || j.State == "Failed" || j.State == "Aborted"
}

func (s *Sandbox) getJob(c *call) answer {
	j, bad := s.jobOf(c)
	if bad != nil {
		return *bad
	}
	if j.State == "UploadComplete" || j.State == "InProgress" {
		j.State = "InProgress"
		if j.polls++; j.polls > max(c.knobs.JobPolls, 1) {
			s.run(c, j)
		}
	}
	return answer{status: http.StatusOK, value: j}
}

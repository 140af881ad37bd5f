package brazefake

import (
	"bytes"
	_ "embed" // the page
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake/outgoing"
)

//go:embed page.html
var pageSource string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": func(t time.Time) string { return t.Format("15:04:05.000") },
}).Parse(pageSource))

// view is what the page shows.
type view struct {
	Stats      Stats
	Objects    []objectTotals
	Requests   []Request
	Received   []Received
	Sends      []Send
	Changes    []Change
	Currents   *outgoing.Report // nil while nobody has connected it
	Webhooks   []outgoing.Delivery
	Collected  Collection
	Violations []string
	Knobs      []knobView
	Query      string
	User       string // the profile asked for, as JSON
	Found      bool
	Live       bool
	Host       string
	Now        time.Time
}

type objectTotals struct {
	Array                      string
	Received, Refused, Applied int64
}

type knobView struct{ Name, Value, Doc string }

// page answers GET /_sandbox/?q=user with a page for people.
func (s *Sandbox) page(w http.ResponseWriter, r *http.Request) {
	v := view{
		Stats:    s.Stats(),
		Requests: s.requests.last(25),
		Received: s.log.last(25, func(*Received) bool { return true }),
		Sends:    s.sends.last(25, ""),
		Changes:  s.changes.last(25, ""),
		// Not Violations, which waits.
		Violations: s.violations.list(),
		Query:      r.FormValue("q"),
		Live:       r.FormValue("live") != "",
		Host:       r.Host,
		Now:        time.Now(),
	}
	for a := braze.Attributes; a <= braze.Purchases; a++ {
		name := a.String()
		v.Objects = append(v.Objects, objectTotals{name, v.Stats.Received[name], v.Stats.Refused[name], v.Stats.Applied[name]})
	}
	if report, ok := s.CurrentsReport("", 25); ok {
		report.Calls = report.Calls[:min(len(report.Calls), 10)]
		v.Currents = &report
		v.Webhooks = s.reporter.Load().webhooks.Log()
		v.Webhooks = v.Webhooks[:min(len(v.Webhooks), 10)]
		v.Collected = s.Collected(10)
	}
	current := s.Knobs()
	for _, knob := range knobs {
		v.Knobs = append(v.Knobs, knobView{knob.name, knob.show(&current), knob.doc})
	}
	if v.Query != "" {
		profile, found := s.Profile(v.Query)
		v.Found = found
		v.User = string(mustJSON(profile))
	}
	var page bytes.Buffer
	if err := pageTemplate.Execute(&page, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'")
	_, _ = w.Write(page.Bytes())
}

// show is a knob's value for people.
func (knob knob) show(k *Knobs) string {
	switch v := knob.field(k).(type) {
	case *time.Duration:
		return v.String()
	case *float64:
		return fmt.Sprint(*v)
	case *int:
		return fmt.Sprint(*v)
	case *bool:
		return fmt.Sprint(*v)
	case *string:
		return *v
	}
	return ""
}

func mustJSON(v any) []byte {
	out, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return []byte(err.Error())
	}
	return out
}

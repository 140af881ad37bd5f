package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/event"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// shadow runs two files of routes on the same records and keeps what differs.
type shadow struct {
	file, running *routes.Table
	pages         bool                         // page and screen views are sent (BRAZE_PAGE_EVENTS)
	show          int                          // samples to keep of each kind of difference
	each          func(place, []request) error // told every record's requests; nil for nobody

	sender  *brazesender.Previewer
	report  report
	targets map[thing]*targetCount
	routes  map[string]*routeCount
}

// report is what a shadow run has found.
type report struct {
	File    string  `json:"file"`
	Running string  `json:"running"`
	Seconds float64 `json:"seconds"`
	Records int     `json:"records"`
	// Unreadable are records that braze-sender could not read either, whatever the routes.
	Unreadable int           `json:"unreadable"`
	Refused    int           `json:"refused"` // records on which a route of File fails
	Same       int           `json:"same"`    // requests
	Added      int           `json:"added"`
	Removed    int           `json:"removed"`
	Changed    int           `json:"changed"`
	Targets    []targetCount `json:"targets"`
	Routes     []routeCount  `json:"routes"`
	Samples    []sample      `json:"samples"`
}

// targetCount is how often something is sent.
type targetCount struct {
	What    string `json:"what"`
	Target  string `json:"target,omitempty"`
	File    int    `json:"file"`
	Running int    `json:"running"`
}

// routeCount is what one route of the file does; an empty name is the default.
type routeCount struct {
	Route    string `json:"route"`
	Records  int    `json:"records"`
	Requests int    `json:"requests"`
	Refused  int    `json:"refused"`
}

// place is where a record stands.
type place struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Key       string `json:"key"`
}

// sample is one difference.
type sample struct {
	Change  string   `json:"change"` // added, removed or changed
	Record  place    `json:"record"`
	File    *request `json:"file,omitempty"`
	Running *request `json:"running,omitempty"`
}

// The kinds of difference.
const (
	added   = "added"
	removed = "removed"
	changed = "changed"
)

func newShadow(file, running *routes.Table) *shadow {
	s := &shadow{file: file, running: running, sender: brazesender.NewPreviewer(), targets: map[thing]*targetCount{}, routes: map[string]*routeCount{}}
	for _, name := range file.Names() { // also those that want nothing, which is worth knowing
		s.routes[name] = &routeCount{Route: name}
	}
	return s
}

// record takes one more record.
func (s *shadow) record(at place, rec routes.Record) error {
	s.report.Records++
	file, failed := s.requests(s.file, rec)
	if failed {
		s.report.Refused++
	}
	running, _ := s.requests(s.running, rec)
	s.count(file, failed)
	for _, r := range running {
		s.target(r.thing()).Running++
	}
	s.compare(at, file, running)
	if s.each != nil {
		return s.each(at, file)
	}
	return nil
}

// requests is what a table makes of a record, and whether it fails.
func (s *shadow) requests(t *routes.Table, rec routes.Record) (list []request, failed bool) {
	if r, settled := s.beforehand(rec); settled {
		return []request{r}, false
	}
	actions, err := t.Apply(rec)
	if err != nil {
		return []request{refused(err)}, true
	}
	list = make([]request, len(actions))
	for i, a := range actions {
		list[i] = requestFor(s.sender, a, rec)
		if list[i].What == refusedWord { // and with it the whole record
			return list[i : i+1], list[i].Route != ""
		}
	}
	return list, false
}

// beforehand is what braze-sender decides without asking the routes.
func (s *shadow) beforehand(rec routes.Record) (r request, settled bool) {
	e := rec.Event
	skipped := func(reason string) (request, bool) {
		return request{What: "skip", Target: reason, Reason: reason}, true
	}
	switch {
	case rec.Commerce != nil && rec.Commerce.BrazeDisabled, e != nil && e.BrazeDisabled:
		return skipped("integration_disabled")
	case rec.Update != nil && rec.Update.Trigger == "" && len(rec.Update.Attributes) == 0:
		return skipped("nothing_to_send")
	case e == nil, rec.Update != nil: // attribute-sync has held its attributes to the rules
		return r, false
	case e.Kind == event.KindIdentify || e.Kind == event.KindErase: // of the person, and no route's business
		return request{What: e.Kind}, true
	case (e.Kind == event.KindPage || e.Kind == event.KindScreen) && !s.pages:
		return skipped("page_view")
	}
	v := braze.CheckEvent(e.Name, e.Properties)
	if v == nil {
		v = braze.CheckAttributes(e.Attributes)
	}
	if v != nil {
		return invalid("", v), true
	}
	return r, false
}

func (s *shadow) target(of thing) *targetCount {
	c := s.targets[of]
	if c == nil {
		c = &targetCount{What: of.what, Target: of.target}
		s.targets[of] = c
	}
	return c
}

// count books a record's requests under the routes that made them.
func (s *shadow) count(list []request, failed bool) {
	var seen []string
	for _, r := range list {
		s.target(r.thing()).File++
		c := s.routes[r.Route]
		if c == nil {
			c = &routeCount{Route: r.Route}
			s.routes[r.Route] = c
		}
		if !slices.Contains(seen, r.Route) {
			c.Records++
			seen = append(seen, r.Route)
		}
		switch {
		case failed:
			c.Refused++
		case r.What != "skip":
			c.Requests++
		}
	}
}

// compare lays the requests of both files side by side: those about the same thing in their order.
func (s *shadow) compare(at place, file, running []request) {
	taken := make([]bool, len(running))
	for i := range file {
		j := slices.IndexFunc(running, func(r request) bool { return r.thing() == file[i].thing() })
		for j >= 0 && taken[j] {
			next := slices.IndexFunc(running[j+1:], func(r request) bool { return r.thing() == file[i].thing() })
			if next < 0 {
				j = -1
				break
			}
			j += 1 + next
		}
		switch {
		case j < 0:
			s.report.Added++
			s.keep(sample{Change: added, Record: at, File: &file[i]}, s.report.Added)
			continue
		case file[i].sameAs(running[j]):
			s.report.Same++
		default:
			s.report.Changed++
			s.keep(sample{Change: changed, Record: at, File: &file[i], Running: &running[j]}, s.report.Changed)
		}
		taken[j] = true
	}
	for j := range running {
		if !taken[j] {
			s.report.Removed++
			s.keep(sample{Change: removed, Record: at, Running: &running[j]}, s.report.Removed)
		}
	}
}

func (s *shadow) keep(x sample, nth int) {
	if nth <= s.show {
		s.report.Samples = append(s.report.Samples, x)
	}
}

// finish sorts what was counted.
func (s *shadow) finish(took time.Duration) *report {
	s.report.Seconds = took.Seconds()
	s.report.Targets, s.report.Routes = []targetCount{}, []routeCount{}
	for _, c := range s.targets {
		s.report.Targets = append(s.report.Targets, *c)
	}
	slices.SortFunc(s.report.Targets, func(a, b targetCount) int {
		return cmp.Or(cmp.Compare(a.What, b.What), cmp.Compare(a.Target, b.Target))
	})
	for _, name := range append(s.file.Names(), "") { // in the file's order, the default last
		if c := s.routes[name]; c != nil {
			s.report.Routes = append(s.report.Routes, *c)
		}
	}
	order := []string{added, removed, changed}
	slices.SortStableFunc(s.report.Samples, func(a, b sample) int {
		return cmp.Compare(slices.Index(order, a.Change), slices.Index(order, b.Change))
	})
	if s.report.Samples == nil {
		s.report.Samples = []sample{}
	}
	return &s.report
}

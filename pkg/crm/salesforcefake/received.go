package salesforcefake

import (
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Call is a request as it came in.
type Call struct {
	Number int    `json:"number"`
	API    string `json:"api"` // collections, record, query, bulk or unknown
	Method string `json:"method"`
	Path   string `json:"path"`
	Rows   int    `json:"rows"`
	Status int    `json:"status"` // that it was answered with
	Client string `json:"client"` // of Sforce-Call-Options
}

// Write is a record of a call, in the order in which it was looked at.
type Write struct {
	Call    int            `json:"call"`
	API     string         `json:"api"`
	Object  string         `json:"object"`
	ID      string         `json:"id,omitzero"`  // of the record; empty when it was refused
	Key     string         `json:"key,omitzero"` // external id by which it came
	Fields  jsontext.Value `json:"fields"`       // as sent
	Created bool           `json:"created,omitzero"`
	Error   string         `json:"error,omitzero"` // statusCode; empty when it was taken
	User    string         `json:"user"`
}

func (s *Sandbox) remember(w Write) { s.writes = bounded(append(s.writes, w), s.opts.MaxWrites) }

// note remembers a call with the status that its client sees.
func (s *Sandbox) note(c *call, a answer) {
	s.calls = bounded(append(s.calls, Call{
		Number: c.number, API: c.api, Method: c.r.Method, Path: c.r.URL.Path, Rows: c.rows, Status: a.status,
		Client: c.r.Header.Get("Sforce-Call-Options"),
	}), s.opts.MaxWrites)
}

// bounded forgets the older half of what is twice as long as it should be.
func bounded[T any](all []T, most int) []T {
	if most > 0 && len(all) >= 2*most {
		return slices.Clone(all[len(all)-most:])
	}
	return all
}

// Writes returns every record that came in, refused ones among them, in order.
func (s *Sandbox) Writes() []Write {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.writes)
}

// Calls returns every call that came in, in order. Requests for tokens are none.
func (s *Sandbox) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// Usage is how many calls of the daily limit are used.
func (s *Sandbox) Usage() (used, limit int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage, s.opts.DailyLimit
}

// TurnDay begins the daily limit anew, as 24 hours without a call would.
func (s *Sandbox) TurnDay() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.day, s.usage = s.opts.Now(), 0
}

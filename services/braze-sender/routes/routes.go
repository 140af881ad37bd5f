// Package routes decides what becomes of a record on its way to Braze: an event, a recommended
// ecommerce event, a purchase, an API-triggered campaign or Canvas, a transactional send, a
// subscription's new state, or nothing. It is pure: no Kafka, no HTTP, no clock.
//
// A route file is YAML that somebody who runs campaigns can read:
//
//	routes:
//	  - name: second-reminder
//	    match: {topic: commerce.events, event: payment_failed, source: stripe}
//	    when: .metadata.attempt_count >= 2
//	    send:
//	      - campaign:
//	          id: 7d3c1f0a-9c8e-4b52-a2f3-1f4f6d2b9e10
//	          properties: {amount: .total, currency: .currency}
//
// A record's way through it: the index finds the routes that name its event (match.go), which for most
// records are none and costs a look into a map; "when" is asked (jq.go) with the record as its topic's
// schema names it (record.go); the first route that wants the record makes its actions (send.go); a
// record that no route wants is sent as it is. A file is read strictly (file.go, route_file.go): an
// unknown key, a wrong value, an expression that does not compile are errors with their line. Examples
// in the file say what the author expects, and are run (example.go).
//
// The expressions are jq, compiled once and run by gojq with a deadline, with numbers that keep every
// digit. They come from the operator's file and never from a request: what an expression may
// allocate is not bounded, only what it answers is.
package routes

import (
	_ "embed" // for the shipped file
	"fmt"
	"os"
	"sync"
)

// Table is a route file, ready to be asked. It never changes and may be shared.
type Table struct {
	routes   []*route
	events   index
	commerce index
	updates  index
	cases    index
	examples []example
}

// route is one entry of the file.
type route struct {
	name     string
	line     int // in the file
	match    matcher
	when     *program // nil: always
	sends    []send
	proceeds bool // further routes, and the default, may want the record too
}

// shipped is the file that is used where none is given.
//
//go:embed routes.yaml
var shipped []byte

// maxFile is the size in bytes beyond which a file is no route file.
const maxFile = 1 << 20

// Default is the table of the shipped file, under which every record goes to Braze as it is.
var Default = sync.OnceValue(func() *Table {
	t, err := Parse("routes.yaml", shipped)
	if err != nil {
		panic(err) // a test reads it
	}
	return t
})

// Shipped is the text of the file behind [Default], to begin one's own with.
func Shipped() string { return string(shipped) }

// Load reads a route file; without a path it is the shipped one. The error has a line for everything
// that is wrong.
func Load(path string) (*Table, error) {
	if path == "" {
		return Default(), nil
	}
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxFile {
		err = fmt.Errorf("%s is larger than the %d bytes that a route file may have", path, maxFile)
	}
	if err != nil {
		return nil, fmt.Errorf("reading routes: %w", err)
	}
	text, err := os.ReadFile(path) //nolint:gosec // the path is the operator's
	if err != nil {
		return nil, fmt.Errorf("reading routes: %w", err)
	}
	return Parse(path, text)
}

// Names are the routes' names, in the file's order.
func (t *Table) Names() []string {
	names := make([]string, len(t.routes))
	for i, r := range t.routes {
		names[i] = r.name
	}
	return names
}

// ReasonFailed is the reason of a refused record whose route could not be run, for receipts and dead
// letters. Their detail is the error.
const ReasonFailed = "route_failed"

// ReasonSkipped is the reason of a record that a route skips, ReasonUnrouted of one that only a route
// would have sent. Their detail is [Action.Reason].
const (
	ReasonSkipped  = "routed"
	ReasonUnrouted = "unrouted"
)

// Failed says that a route wanted a record and could not make of it what it should.
type Failed struct {
	Route   string
	Message string // what is wrong, beginning with the part of the route concerned
}

// Error names the route.
func (f *Failed) Error() string { return "route " + f.Route + ": " + f.Message }

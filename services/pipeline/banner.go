package pipeline

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// tryer is the user of the first curl.
const tryer = "you"

// Curl is a command that sends a first event, complete with what opens the front door. It can be
// repeated: each call is another event. It is empty without a front door.
func (l *Pipeline) Curl() string {
	if l.places.Door == "" {
		return ""
	}
	key := localKey
	if !l.config.Local.Key {
		key = "YOUR-KEY" // keys that were configured are never printed
	}
	return "curl -sS " + l.places.Door + "/v1/events -H 'Authorization: Bearer " + key + "' -H 'Content-Type: application/json'" +
		` -d '{"user":{"external_id":"` + tryer + `"},"name":"Tried Sluice","properties":{"where":"my own terminal"}}'`
}

// Arrival is where the event of the first curl is seen in the sandbox; empty without one.
func (l *Pipeline) Arrival() string {
	if l.places.Sandbox == "" {
		return ""
	}
	return l.places.Sandbox + "/_sandbox/users/" + tryer
}

// welcome says where everything is, what this is not, and what to try first.
func (l *Pipeline) welcome(w io.Writer) {
	var b strings.Builder
	b.WriteString("\nSluice is running.\n\n")
	l.tell(&b)
	b.WriteString("\n" + l.caveat() + "\n")
	if curl := l.Curl(); curl != "" {
		b.WriteString("\nSend an event:\n\n  " + curl + "\n")
		if arrival := l.Arrival(); arrival != "" {
			b.WriteString("\nand see it arrive:\n\n  " + arrival + "\n")
		}
	}
	b.WriteString("\nFlows:\n\n")
	l.tellFlows(&b)
	if l.options.Simulate {
		s := l.config.Simulate
		fmt.Fprintf(&b, "\n%d invented customers come in through the front door, %g events a second (seed %d).\n", s.Customers, s.Rate, s.Seed)
	}
	b.WriteString("\nCtrl-C drains and ends.\n\n")
	_, _ = io.WriteString(w, b.String())
}

// tell lists places.
func (l *Pipeline) tell(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	place := func(name, at, what string) {
		if at != "" {
			_, _ = fmt.Fprintf(table, "  %s\t%s\t%s\n", name, at, what)
		}
	}
	local := func(is bool, what string) string {
		if is {
			return "embedded"
		}
		return what
	}
	place("front door", l.places.Door, "POST /v1/events, and what tracking clients send")
	if l.places.Sandbox != "" {
		place("Braze sandbox", l.places.Sandbox+"/_sandbox/", "what Braze has been told")
	} else {
		place("Braze", l.places.Braze, "as configured")
	}
	place("operators", l.places.Ops, "/healthz /readyz /metrics")
	place("Kafka", l.places.Kafka, local(l.config.Local.Kafka, "as configured"))
	place("registry", l.places.Registry, local(l.config.Local.Registry, "as configured"))
	_ = table.Flush() // into memory
}

// caveat says honestly what this mode is not.
func (l *Pipeline) caveat() string {
	if !l.config.Local.Kafka {
		said := "All services in one process: if it stops, everything stops. In production each is a process of its own."
		if l.config.Local.Registry {
			said += "\nThe schema registry is embedded and Kafka is not: if its ids are lost, records on Kafka can no longer be\nread. Set SCHEMA_REGISTRY_URL."
		}
		return said
	}
	data := "data in " + l.config.Sandbox.DataDir
	if l.config.Sandbox.DataDir == "" {
		data = "data that is gone when it ends (SLUICE_DATA_DIR keeps it)"
	}
	return "For trying out, not for production: one broker inside this process, no replicas,\n" + data + "."
}

// tellFlows has a line for each flow.
func (l *Pipeline) tellFlows(w io.Writer) {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	for i, f := range flows {
		state, detail := f.state(func(name string) bool { return l.counters[name] != nil })
		_, _ = fmt.Fprintf(table, "  %d  %s\t%s\t%s\n", i+1, f.what, state, detail)
	}
	_ = table.Flush() // into memory
}

// farewell says what has become of everything.
func (l *Pipeline) farewell(w io.Writer) {
	law := l.Law()
	_, _ = fmt.Fprintf(w, "\n%s\n", law)
	if law.Held > 0 && l.config.Local.Kafka && l.config.Sandbox.DataDir == "" {
		_, _ = fmt.Fprintln(w, "What was held is gone with the data folder.")
	} else if law.Held > 0 {
		_, _ = fmt.Fprintln(w, "What was held stays on the topic.")
	}
}

package pipeline

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/sluicehq/sluice/services/ingest"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// tryer is the user of the first curls.
const tryer = "you"

// Curl is a command that sends a first event, complete with what opens the front door. It can be
// repeated: each call is another event. It is empty without a front door.
func (l *Pipeline) Curl() string {
	return l.curl("/v1/events", `{"user":{"external_id":"`+tryer+`"},"name":"Tried Sluice","properties":{"where":"my own terminal"}}`)
}

// OrderCurl is likewise for a first order. Repeated it changes nothing: the same order twice is one.
func (l *Pipeline) OrderCurl() string {
	return l.curl("/v1/commerce", `{"user":{"external_id":"`+tryer+`"},"type":"order_placed","order_id":"A-1001","currency":"EUR","total":"84.90",`+
		`"lines":[{"product_id":"P-1","product_name":"Lamp","variant_id":"P-1-red","quantity":1,"price":"84.90"}]}`)
}

// ProfileCurl is likewise for a change of a profile. Repeated it costs nothing: Braze has it.
func (l *Pipeline) ProfileCurl() string {
	return l.curl("/v1/profiles", `{"user":{"external_id":"`+tryer+`"},"source":"crm","set":{"tier":"gold","city":"Graz"}}`)
}

// CaseCurl is likewise for a support case, which holds promotions back for a while.
func (l *Pipeline) CaseCurl() string {
	return l.curl("/v1/cases", `{"user":{"external_id":"`+tryer+`"},"source":"desk","case_id":"C-1","event":"opened","severity":"high"}`)
}

// CurrentsCurl is likewise what Braze sends when somebody clicks. Repeated it is the same event, and a sink
// gets it once.
func (l *Pipeline) CurrentsCurl() string {
	token := localKey
	if !l.config.Local.Token {
		token = "YOUR-TOKEN"
	}
	return l.curlWith(token, "/v1/braze/currents", `{"events":[{"event_type":"users.messages.email.Click","id":"tried-1","time":1785315688,`+
		`"user":{"external_user_id":"`+tryer+`"},"properties":{"campaign_id":"welcome","email_address":"you@example.com","url":"https://shop.example/"}}]}`)
}

// ContentCurl is likewise for a first item of content, which is served a moment later at ContentAt.
func (l *Pipeline) ContentCurl() string {
	return l.curl("/v1/content", `{"collection":"banners","id":"hello","approved":true,"body":{"headline":"Hello from Sluice"}}`)
}

// ContentAt is where that item is read, as Connected Content would; empty where no content is served.
func (l *Pipeline) ContentAt() string {
	if l.places.Content == "" {
		return ""
	}
	return l.places.Content + "/v1/content/banners/hello"
}

// Collector is where the sinks that nobody has configured show what they got; empty without them.
func (l *Pipeline) Collector() string {
	if l.places.Sandbox == "" || l.places.Files == "" {
		return ""
	}
	return l.places.Sandbox + "/_sandbox/collector"
}

func (l *Pipeline) curl(path, body string) string {
	key := localKey
	if !l.config.Local.Key {
		key = "YOUR-KEY" // keys that were configured are never printed
	}
	return l.curlWith(key, path, body)
}

func (l *Pipeline) curlWith(key, path, body string) string {
	if l.places.Door == "" {
		return ""
	}
	return "curl -sS " + l.places.Door + path + " -H 'Authorization: Bearer " + key + "' -H 'Content-Type: application/json' -d '" + body + "'"
}

// Arrival is where what the first curls send is seen in the sandbox; empty without one.
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
		b.WriteString("\nSend an event:\n\n  " + curl + "\n\nor an order:\n\n  " + l.OrderCurl() + "\n")
		if l.counters[attributesync.Name] != nil {
			b.WriteString("\nor a change of a profile:\n\n  " + l.ProfileCurl() + "\n\nor a support case:\n\n  " + l.CaseCurl() + "\n")
		}
		if arrival := l.Arrival(); arrival != "" {
			b.WriteString("\nand see them arrive:\n\n  " + arrival + "\n")
		}
		if at := l.ContentAt(); at != "" {
			b.WriteString("\nApprove a piece of content:\n\n  " + l.ContentCurl() + "\n\nand read it as a message would:\n\n  curl -sS " + at + "\n")
		}
		if collector := l.Collector(); collector != "" {
			b.WriteString("\nWhat customers do with messages comes back from the sandbox. Or tell it yourself, as Braze does:\n\n  " +
				l.CurrentsCurl() + "\n\nand see it at the far end:\n\n  " + collector + "\n")
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
	place("front door", l.places.Door, "POST /v1/events, /v1/commerce, /v1/profiles, /v1/cases, /v1/content, /v1/crm/changes, and what tracking clients send")
	if l.places.Door != "" {
		place("webhooks", l.places.Door+"/v1/hooks/…", l.hooks())
	}
	if l.places.Sandbox != "" {
		place("Braze sandbox", l.places.Sandbox+"/_sandbox/", "what Braze has been told")
	} else {
		place("Braze", l.places.Braze, "as configured")
	}
	if l.places.Door != "" {
		place("from Braze", l.places.Door+"/v1/braze/…", "currents, and webhooks/{name}")
	}
	place("CRM sandbox", l.places.CRM, "Salesforce, HubSpot and a loyalty programme: what they were told is under /_sandbox/writes, /hubspot/_sandbox/writes, /loyalty/_sandbox/writes")
	what := "as configured"
	if l.places.Files != "" {
		what = "who gets engagement; SINKS_FILE names another file"
	}
	place("sinks", l.places.Sinks, what)
	if l.places.Content != "" {
		place("content", l.places.Content+"/v1/content/…", "what messages read while they are rendered")
	}
	place("engagement", l.places.Files, "files of it: Parquet, by type and date")
	place("operators", l.places.Ops, "/healthz /readyz /metrics")
	place("Kafka", l.places.Kafka, local(l.config.Local.Kafka, "as configured"))
	place("registry", l.places.Registry, local(l.config.Local.Registry, "as configured"))
	_ = table.Flush() // into memory
}

// hooks says of which vendors webhooks are taken, and how they have to be signed where nobody has said.
func (l *Pipeline) hooks() string {
	secret := ""
	if l.config.Local.Key {
		secret = localKey
	}
	sources, err := ingest.LoadSources(l.config.Ingest.Ingest.SourcesFile, os.LookupEnv, secret)
	if err != nil {
		return "" // the front door has read the file a moment ago, and would not have opened
	}
	var taken, dev []string
	for _, s := range sources.All() {
		switch {
		case s.Disabled() != "":
		case s.Dev():
			dev = append(dev, s.Name())
		default:
			taken = append(taken, s.Name())
		}
	}
	var said []string
	if len(taken) > 0 {
		said = append(said, strings.Join(taken, ", "))
	}
	if len(dev) > 0 {
		said = append(said, strings.Join(dev, ", ")+", signed with the secret "+secret)
	}
	return cmp.Or(strings.Join(said, "; "), "none: no source has a secret")
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

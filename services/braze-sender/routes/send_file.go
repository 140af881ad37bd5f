package routes

import (
	"github.com/goccy/go-yaml/ast"

	"github.com/sluicehq/sluice/pkg/braze"
)

// sendFile is one entry under a route's send, being read.
type sendFile struct {
	*file
	topic    string    // of the route
	priority *Priority // of the route, and then of the entry, if it has its own
	send     send
}

// read reads the entry: a mapping with one key, the kind.
func (f *sendFile) read(path, at string, node ast.Node) send {
	pairs, ok := pairsOf(node)
	if !ok || len(pairs) != 1 {
		f.wrong(path, node, nil, "expected exactly one of event, purchase, campaign, canvas, transactional, subscription, skip")
		return f.send
	}
	f.send.at = at + "." + text(pairs[0].Key)
	f.object(path, node,
		key{"event", f.event},
		key{"purchase", f.purchase},
		key{"campaign", f.message(Campaign)},
		key{"canvas", f.message(Canvas)},
		key{"transactional", f.message(Transactional)},
		key{"subscription", f.subscription},
		key{"skip", f.skip},
	)
	if isNull(pairs[0].Value) {
		f.wrong(join(path, text(pairs[0].Key)), node, nil, "says nothing about what to send")
	}
	switch m, message := f.send.actor.(messageSend); {
	case f.priority != nil:
		f.send.priority = *f.priority
	case message && m.kind == Transactional:
		f.send.priority = Urgent
	}
	return f.send
}

// fields reads the keys of a kind, and those that every kind has.
func (f *sendFile) fields(path string, node ast.Node, keys ...key) {
	f.object(path, node, append(keys,
		key{"priority", f.urgency(&f.priority)},
		key{"in_doubt", oneOf(f.file, &f.send.inDoubt, inDoubtNames)})...)
}

func (f *sendFile) skip(path string, node ast.Node) {
	var s skipSend
	f.text(&s.reason, upTo(200))(path, node)
	f.send.actor = s
}

func (f *sendFile) event(path string, node ast.Node) {
	var s eventSend
	f.fields(path, node,
		key{"name", f.text(&s.name, upTo(braze.MaxNameLen))},
		key{"properties", f.shape(&s.properties)},
		key{"pick", f.texts(&s.picks.only)},
		key{"rename", f.rename(&s.picks.rename)},
		key{"existing_only", f.flag(&s.existingOnly)},
	)
	f.send.actor = s
	switch {
	case f.has(path, "properties") || f.has(path, "pick") || f.has(path, "name"):
	case s.properties != nil && !s.picks.none():
		f.wrong(path, node, nil, "either properties, or pick and rename")
	case nameless(f.topic) == "":
	case s.name == "":
		f.missing(path, node, "name", nameless(f.topic)+" has no name of its own")
	case s.properties == nil && s.picks.only == nil:
		f.wrong(path, node, nil, "properties or pick are needed: "+nameless(f.topic)+" has no properties of its own")
	}
}

// nameless is what a topic's records are called, if they are no events with names and properties.
func nameless(topic string) string {
	switch topic {
	case CommerceTopic:
		return "a commerce event"
	case CasesTopic:
		return "a support case"
	}
	return ""
}

// rename reads a mapping of old names to new ones.
func (f *sendFile) rename(into *map[string]string) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		pairs, ok := pairsOf(node)
		if !ok {
			f.wrong(path, node, nil, "expected a mapping of old names to new ones")
			return
		}
		*into = map[string]string{}
		taken := map[string]bool{}
		for _, p := range pairs {
			from, to := text(p.Key), ""
			f.text(&to, upTo(braze.MaxNameLen))(join(path, from), p.Value)
			if to != "" && taken[to] {
				f.wrong(join(path, from), p.Value, to, "a new name that nothing else gets")
			}
			taken[to] = true
			(*into)[from] = to
		}
	}
}

func (f *sendFile) message(kind Kind) func(string, ast.Node) {
	return func(path string, node ast.Node) {
		s := messageSend{kind: kind}
		keys := []key{{"id", f.text(&s.id, upTo(100))}, {"properties", f.shape(&s.properties)}}
		if kind == Transactional {
			keys = append(keys, key{"external_send_id", f.program(&s.externalID)})
		}
		f.fields(path, node, keys...)
		if s.id == "" && !f.has(path, "id") {
			f.missing(path, node, "id", "the API identifier that Braze shows for it")
		}
		f.send.actor = s
	}
}

func (f *sendFile) subscription(path string, node ast.Node) {
	var s subscriptionSend
	f.fields(path, node,
		key{"group", f.text(&s.group, upTo(100))},
		key{"state", f.text(&s.state, func(v string) string {
			if v != "subscribed" && v != "unsubscribed" {
				return "subscribed, unsubscribed"
			}
			return ""
		})},
	)
	if s.group == "" && !f.has(path, "group") {
		f.missing(path, node, "group", "the subscription group's id")
	}
	if s.state == "" && !f.has(path, "state") {
		f.missing(path, node, "state", "subscribed or unsubscribed")
	}
	f.send.actor = s
}

// purchase reads a purchase; its defaults are the names that a line of a commerce event has.
func (f *sendFile) purchase(path string, node ast.Node) {
	s := purchaseSend{
		product: preset(".product_id"), price: preset(".price"), quantity: preset(".quantity"), currency: preset(".currency // $record.currency"),
	}
	f.fields(path, node,
		key{"each", f.program(&s.each)},
		key{"product_id", f.program(&s.product)},
		key{"price", f.program(&s.price)},
		key{"currency", f.program(&s.currency)},
		key{"quantity", f.program(&s.quantity)},
		key{"properties", f.shape(&s.properties)},
		key{"existing_only", f.flag(&s.existingOnly)},
	)
	f.send.actor = s
}

// preset is an expression of ours.
func preset(text string) *program {
	p, err := compile(text)
	if err != nil {
		panic(err)
	}
	return p
}

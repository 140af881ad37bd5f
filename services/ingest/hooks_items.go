package ingest

import (
	"fmt"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// refusals are the words of package webhook as ours.
var refusals = map[webhook.Reason]why{
	webhook.Unmappable:         unmappable,
	webhook.IdentityUnresolved: identityUnresolved,
	webhook.UnsupportedVersion: unsupportedVersion,
	webhook.WrongMode:          wrongMode,
	webhook.PrivacyRequest:     privacyRequest,
	webhook.Gap:                gap,
}

// hookItems are the items of messages: one for each output, or one that says why there is none.
func hookItems(messages []webhook.Message) []item {
	var all []item
	for i := range messages {
		all = append(all, itemsOf(&messages[i])...)
	}
	return all
}

// itemsOf holds what a source's programs made to what the door would ask of anybody. If one output
// cannot go on the message becomes a dead letter as a whole.
func itemsOf(m *webhook.Message) []item {
	only := item{start: m.Start, end: m.End}
	only.setID(m.Key)
	switch {
	case m.Refuse != "":
		only.fate = deadLetter
		only.refuse(problem{why: refusals[m.Refuse], detail: m.Detail})
		return []item{only}
	case len(m.Outputs) == 0:
		only.fate, only.why = skip, m.Skip
		return []item{only}
	}
	items := make([]item, 0, len(m.Outputs))
	for i, output := range m.Outputs {
		it, p := itemOf(output)
		if p.why != fine {
			only.fate = deadLetter
			only.refuse(problem{why: unmappable, detail: fmt.Sprintf("output %d (%s): %s %s", i, output.To, p.field, p.reason())})
			return []item{only}
		}
		it.start, it.end = m.Start, m.End
		items = append(items, it)
	}
	return items
}

// itemOf reads one output with the parser of the path whose shape it has.
func itemOf(output webhook.Output) (item, problem) {
	var s scanner // its own: what is read aliases it
	s.reset(output.JSON)
	parse := map[webhook.Target]func(*scanner, []item) ([]item, error){
		webhook.Event: parseEvents, webhook.Profile: parseProfiles, webhook.Commerce: parseCommerce,
		webhook.Case: parseCases, webhook.Link: parseLinks, webhook.Content: parseContentOutput,
		webhook.CRM: parseChangeOutput,
	}[output.To]
	items, err := parse(&s, nil)
	if err != nil || len(items) != 1 {
		return item{}, problem{why: notObject}
	}
	return items[0], items[0].problem
}

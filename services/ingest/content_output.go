package ingest

import "github.com/sluicehq/sluice/pkg/event"

// parseContentOutput reads what sources make of content: as parseContent does, and what takes content away,
// which our own API has a method for:
//
//	{"collection", "id", "locale"?, "withdraw": true, "event_id"?, "time"?, "source"?}   all of the item, or one locale
//	{"collection", "id", "locale"?, "remove": true, "event_id"?, "time"?, "source"?}     the one record of that key
func parseContentOutput(s *scanner, items []item) ([]item, error) {
	return parseItems(s, items, (*scanner).contentOutput)
}

// contentOutput reads one.
func (s *scanner) contentOutput(it *item) {
	withdraw, remove := false, false
	s.contentOf(it, func(field string) bool {
		switch field {
		case "withdraw":
			withdraw = s.boolean(it, field)
		case "remove":
			remove = s.boolean(it, field)
		default:
			return false
		}
		return true
	})
	c := it.content
	if c == nil {
		return
	}
	if !withdraw && !remove {
		it.refuse(checkContent(c))
		return
	}
	it.refuse(checkContentKey(c))
	it.refuse(checkBare(c))
	it.removes = remove || c.Locale != ""
	if c.Withdraws = !it.removes; c.Withdraws {
		c.Body = emptyBody
	}
}

// checkBare refuses what takes content away and publishes some at once: one of the two is a mistake.
func checkBare(c *event.Content) problem {
	switch {
	case c.Approved:
		return problem{why: notBare, field: "approved"}
	case c.Body != nil:
		return problem{why: notBare, field: "body"}
	case c.Variants != nil:
		return problem{why: notBare, field: "variants"}
	case c.Source != "" && !isName(c.Source):
		return problem{why: notSource, field: "source"}
	}
	return problem{}
}

package ingest

import (
	"strings"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
)

// checkContent looks for what an item cannot do without, and for what no reader could use.
func checkContent(c *event.Content) problem {
	if p := checkContentKey(c); p.why != fine {
		return p
	}
	switch {
	case c.Locale != "" && c.Variants != nil:
		return problem{why: notBeside, field: "variants"}
	case c.Body == nil:
		return problem{why: missing, field: "body"}
	case !c.ValidUntil.IsZero() && !c.ValidUntil.After(c.ValidFrom):
		return problem{why: notWindow, field: "valid_until"}
	case c.Source != "" && !isName(c.Source):
		return problem{why: notSource, field: "source"}
	case contentBytes(c) > MaxContentBytes:
		return problem{why: tooLarge, limit: MaxContentBytes, unit: "bytes with all locales, tags and assets"}
	}
	return problem{}
}

// checkContentKey holds what makes the record's key to what a key can hold.
func checkContentKey(c *event.Content) problem {
	switch {
	case c.Collection == "":
		return problem{why: missing, field: "collection"}
	case len(c.Collection) > MaxCollection || !isName(c.Collection):
		return problem{why: notCollection, field: "collection"}
	case c.ItemID == "":
		return problem{why: missing, field: "id"}
	case !utf8.ValidString(c.ItemID):
		return problem{why: notUTF8, field: "id"}
	case !printable(c.ItemID):
		return problem{why: unprintable, field: "id"}
	case strings.Contains(c.ItemID, "#"):
		return problem{why: notContentID, field: "id"}
	case len(c.ItemID) > MaxContentID:
		return problem{why: tooLong, field: "id", limit: MaxContentID, unit: "bytes"}
	case c.Locale != "" && !isLocale(c.Locale):
		return problem{why: notLocale, field: "locale"}
	}
	return problem{}
}

// isLocale reports whether a text has the form of a locale: letters and digits, up to eight between dashes.
func isLocale(text string) bool {
	if len(text) > maxLocale {
		return false
	}
	for part := range strings.SplitSeq(text, "-") {
		if len(part) < 1 || len(part) > 8 || !isName(part) || strings.ContainsAny(part, "._") {
			return false
		}
	}
	return true
}

// contentBytes is about what a record of the item takes, and never less.
func contentBytes(c *event.Content) int {
	const envelope, perPart = 1_024, 16 // lengths, times, ids; lengths of an array's entry
	n := envelope + 2*(len(c.Collection)+len(c.ItemID)) + len(c.Body)
	for _, tag := range c.Tags {
		n += perPart + len(tag)
	}
	for i := range c.Variants {
		n += perPart + len(c.Variants[i].Locale) + len(c.Variants[i].Body)
	}
	for i := range c.Assets {
		a := &c.Assets[i]
		n += 5*perPart + len(a.URL) + len(a.MediaType) + len(a.Rendition)
	}
	return n
}

package cases

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
)

// Problem is why a report cannot be taken.
type Problem struct {
	Field  string // as in POST /v1/cases, such as "event" or "case_id"
	Reason string // for a person: what is wrong, or what is allowed
}

// Error is field and reason in one line.
func (p *Problem) Error() string { return p.Field + ": " + p.Reason }

// Check says what is wrong with a report, or nil. The user and the record's key are not looked at.
func Check(c *event.Case) *Problem {
	for _, f := range []struct {
		name, text string
		needed     bool
	}{{"source", c.Source, true}, {"case_id", c.CaseID, true}, {"channel", c.Channel, false}} {
		switch {
		case f.needed && f.text == "":
			return &Problem{f.name, "is missing"}
		case len(f.text) > MaxText:
			return &Problem{f.name, fmt.Sprintf("is %d bytes long; allowed are %d", len(f.text), MaxText)}
		case !utf8.ValidString(f.text):
			return &Problem{f.name, "is not valid UTF-8"}
		}
	}
	switch {
	case !slices.Contains(event.CaseEvents(), c.Event):
		return &Problem{"event", fmt.Sprintf("%.40q is none of %s", c.Event, list(event.CaseEvents()))}
	case c.Severity != "" && !slices.Contains(event.Severities(), c.Severity):
		return &Problem{"severity", fmt.Sprintf("%.40q is none of %s", c.Severity, list(event.Severities()))}
	case c.Event == event.CaseRated && c.Rating == nil:
		return &Problem{"rating", "is missing"}
	case c.Rating != nil && (*c.Rating < 0 || *c.Rating > event.MaxRating):
		return &Problem{"rating", fmt.Sprintf("is %d; allowed are 0 to %d", *c.Rating, event.MaxRating)}
	case c.OccurredAt.IsZero():
		return &Problem{"time", "is missing"}
	case c.OccurredAt.UnixMilli() < 1 || c.OccurredAt.UnixMilli() > latest:
		return &Problem{"time", "is not within the years 1970 to 9999"}
	}
	return nil
}

// latest is the last millisecond of the year 9999, beyond which there is no RFC 3339.
var latest = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli() - 1

func list[T ~string](words []T) string {
	texts := make([]string, len(words))
	for i, w := range words {
		texts[i] = string(w)
	}
	return strings.Join(texts, ", ")
}

// isSilent says that a resolution's metadata call the case merged into another, moved to another customer,
// deleted, or closed without having been solved: nobody is asked how that went. Helpdesks whose webhooks are
// templates say everything in texts, so "true" is as good as true. Metadata that cannot be read say nothing.
func isSilent(metadata []byte) bool {
	if !slices.ContainsFunc(silencers, func(name string) bool { return bytes.Contains(metadata, []byte(name)) }) {
		return false
	}
	var said map[string]jsontext.Value
	if json.Unmarshal(metadata, &said, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)) != nil {
		return false
	}
	switch string(said["merged_into"]) {
	case "", "null", `""`, "false":
	default:
		return true
	}
	isTrue := func(name string) bool { return string(said[name]) == "true" || string(said[name]) == `"true"` }
	return isTrue("deleted") || isTrue("moved") || string(said["status"]) == `"closed"`
}

// silencers are the members of metadata that isSilent looks at.
var silencers = []string{"merged_into", "deleted", "moved", "closed"}

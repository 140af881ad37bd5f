package brazefake

import (
	"strings"
	"time"
)

// parseEventTime reads the time of an event or a purchase: ISO 8601, or with a colon before the
// milliseconds (braze-docs: event_object).
func parseEventTime(text string) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, true
	}
	if len(text) > 20 && text[10] == 'T' && text[19] == ':' {
		text = text[:19] + "." + text[20:]
	}
	return parseAs(text, isoLayouts)
}

// parseDate reads a date attribute, which may be written in more ways; without a zone it is UTC
// (braze-docs: user_attributes_object).
func parseDate(text string) (time.Time, bool) {
	if t, ok := parseEventTime(text); ok {
		return t, true
	}
	return parseAs(text, dateLayouts)
}

var (
	isoLayouts = []string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04:05",
		"2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700", "2006-01-02T15:04", "2006-01-02",
		"20060102T150405Z0700", "20060102T150405", "20060102",
	}
	dateLayouts = []string{"2006-01-02 15:04:05", "01/02/2006", "Mon 01 02 15:04:05.MST 2006"}
)

func parseAs(text string, layouts []string) (time.Time, bool) {
	if strings.TrimSpace(text) != text {
		return time.Time{}, false
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

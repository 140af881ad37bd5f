package profile

import (
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
)

func isDay(b []byte) bool {
	if len(b) != len(time.DateOnly) {
		return false
	}
	_, err := time.Parse(time.DateOnly, string(b))
	return err == nil
}

// dateLayouts are the forms of ISO 8601 that Braze reads (braze-docs: event_object,
// user_attributes_object). It reads others as well, in which month and day are easily confused.
var dateLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02",
}

// isDate reports whether a text is a date. Years that Braze would store as text are none (0 to 3000).
func isDate(b []byte) bool {
	if len(b) < len(time.DateOnly) || len(b) > 40 {
		return false
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, string(b)); err == nil {
			return t.Year() <= 3000
		}
	}
	return false
}

func isDateValue(raw []byte) bool { return isDate(said(raw)) }

// maxZones bounds the time zones that are remembered; there are about 600.
const maxZones = 2048

func checkZone(s *State, raw []byte, is content) (braze.Rule, string) {
	if is.shape != text {
		return braze.RuleWrongType, text.String()
	}
	zone := said(raw)
	known, asked := s.zones[string(zone)]
	if !asked {
		known = isZone(string(zone))
		if s.zones == nil || len(s.zones) >= maxZones {
			s.zones = map[string]bool{}
		}
		s.zones[string(zone)] = known
	}
	if !known {
		return braze.RuleNotOneOf, "a time zone's name, such as Europe/Vienna"
	}
	return "", ""
}

func isZone(zone string) bool {
	if zone == "" || zone == "Local" || len(zone) > 64 {
		return false
	}
	for _, c := range []byte(zone) {
		if (c|0x20 < 'a' || c|0x20 > 'z') && (c < '0' || c > '9') && c != '/' && c != '_' && c != '-' && c != '+' {
			return false
		}
	}
	_, err := time.LoadLocation(zone)
	return err == nil
}

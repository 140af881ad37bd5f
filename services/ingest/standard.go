package ingest

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // time zones are looked up wherever this runs

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/ingest/iso"
)

// standard are the attributes that Braze knows by name (braze-docs: user attributes object), as far as
// a trait can become one. Their order is that in which they are written.
var standard = [...]string{
	"email", "phone", "first_name", "last_name", "dob", "home_city", "country", "gender", "image_url",
	"language", "time_zone", "email_subscribe", "push_subscribe", "current_location",
	"date_of_first_session", "date_of_last_session", "marked_email_as_spam_at",
	"email_open_tracking_disabled", "email_click_tracking_disabled", "facebook", "twitter",
}

// fit makes of a trait's value one that Braze takes for the attribute, or nil. What Braze takes is what
// attribute-sync takes for it; that refuses the whole change otherwise. A null removes any.
func fit(field string, value []byte) []byte {
	if value[0] == 'n' {
		return value
	}
	switch field {
	case "current_location":
		return location(value)
	case "facebook", "twitter":
		if value[0] == '{' {
			value, _ = tidy(value, 0)
			return value
		}
		return nil
	case "email_open_tracking_disabled", "email_click_tracking_disabled":
		if text := string(bytes.Trim(value, `"`)); text == "true" || text == "false" {
			return []byte(text)
		}
		return nil
	case "email_subscribe", "push_subscribe":
		return subscribeState(value)
	}
	text, ok := textOf(value)
	if !ok {
		return nil
	}
	if text = fitText(field, text); text == "" {
		return nil
	}
	return appendQuoted(nil, text)
}

// fitText is fit for attributes that are texts; empty for none.
func fitText(field, text string) string {
	switch field {
	case "email":
		if text = strings.TrimSpace(text); isMailAddress(text) {
			return text
		}
	case "phone":
		return phone(text)
	case "dob":
		if m := parseMoment(text); m.known() && m.Year() > 0 {
			return m.Format(time.DateOnly)
		}
	case "country":
		if code, ok := iso.Country(text); ok {
			return code
		}
	case "language":
		if code, ok := iso.Language(text); ok {
			return code
		}
	case "gender":
		return gender(text)
	case "time_zone":
		if isZone(text) {
			return text
		}
	case "date_of_first_session", "date_of_last_session", "marked_email_as_spam_at":
		if m := parseMoment(text); m.known() && 0 < m.Year() && m.Year() <= 3000 {
			return m.UTC().Format(time.RFC3339)
		}
	case "image_url":
		if !tooManyCharacters(text, maxText) {
			return text // a part of an address is none
		}
	default:
		return clip(text)
	}
	return ""
}

// textOf is what a text says. Numbers are the text that was sent.
func textOf(value []byte) (string, bool) {
	switch c := value[0]; {
	case c == '-' || '0' <= c && c <= '9':
		return alias(value), true
	case c != '"':
		return "", false
	case bytes.IndexByte(value, '\\') < 0:
		return alias(value[1 : len(value)-1]), true
	}
	text, err := jsontext.AppendUnquote(nil, value)
	return string(text), err == nil
}

// isMailAddress wants one @, and a domain with a dot in it.
func isMailAddress(text string) bool {
	local, domain, found := strings.Cut(text, "@")
	if !found || local == "" || len(domain) < 3 || len(text) > maxText {
		return false
	}
	dot := strings.IndexByte(domain, '.')
	if dot <= 0 || strings.HasSuffix(domain, ".") || strings.Contains(domain, "..") || strings.Contains(domain, "@") {
		return false
	}
	return !strings.ContainsFunc(text, func(r rune) bool {
		return r <= ' ' || r == 0x7f || strings.ContainsRune(`,;<>"`, r)
	})
}

// written are the marks that people put into phone numbers.
var written = strings.NewReplacer(" ", "", "\u00a0", "", "(", "", ")", "", ".", "", "-", "", "/", "")

// phone reads a number with its country: +43 or 0043, 7 to 15 digits. One without cannot be called from
// here, whoever sends it.
func phone(text string) string {
	text = written.Replace(text)
	if rest, found := strings.CutPrefix(text, "00"); found {
		text = "+" + rest
	}
	if len(text) < 8 || !isE164(text) {
		return ""
	}
	return text
}

// gender is one of Braze's letters (braze-docs: user attributes object).
func gender(text string) string {
	switch strings.ToLower(text) {
	case "m", "male", "man":
		return "M"
	case "f", "female", "woman":
		return "F"
	case "o", "other", "non-binary", "nonbinary":
		return "O"
	case "n", "n/a", "not applicable":
		return "N"
	case "p", "prefer not to say":
		return "P"
	}
	return ""
}

// subscribeState is what somebody wants to be sent. Who says no in a form that is not Braze's has said no.
func subscribeState(value []byte) []byte {
	said, _ := textOf(value)
	if value[0] == 't' || value[0] == 'f' {
		said = string(value)
	}
	switch strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(said))) {
	case "opted_in":
		return []byte(`"opted_in"`)
	case "subscribed", "true":
		return []byte(`"subscribed"`)
	case "unsubscribed", "unsubscribe", "opted_out", "false":
		return []byte(`"unsubscribed"`)
	}
	return nil
}

// location wants longitude and latitude in degrees, and drops what else there is.
func location(value []byte) []byte {
	if value[0] != '{' {
		return nil
	}
	var s scanner
	s.reset(value)
	var longitude, latitude []byte
	for base, first := s.object(), true; s.member(base, first); first = false {
		name := s.name
		v := s.raw()
		degrees, err := strconv.ParseFloat(alias(v), 64)
		switch {
		case err != nil:
		case name == "longitude" && -180 <= degrees && degrees <= 180:
			longitude = v
		case name == "latitude" && -90 <= degrees && degrees <= 90:
			latitude = v
		}
	}
	if longitude == nil || latitude == nil {
		return nil
	}
	o := openObject(len(value))
	o.member("longitude", longitude)
	o.member("latitude", latitude)
	return o.close()
}

// isZone reports whether a text is the name of a time zone (IANA).
func isZone(text string) bool {
	if text == "" || text == "Local" || len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool {
		return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("/_-+", r)
	}) {
		return false
	}
	_, err := time.LoadLocation(text)
	return err == nil
}

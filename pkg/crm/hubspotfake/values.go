package hubspotfake

import (
	"net/mail"
	"slices"
	"strconv"
	"strings"
)

// Property is one of a kind of object.
type Property struct {
	Name     string
	Type     string   // text, number, bool, email, enumeration, checkbox (several options apart by ;) or stage
	Options  []string // of enumeration, checkbox and stage; none: any word
	Unique   bool     // may be an idProperty
	ReadOnly bool
	Required bool // when an object is made
}

// DefaultTypes are contacts and notes as a portal has them that was prepared for Sluice.
func DefaultTypes() map[string][]Property {
	return map[string][]Property{
		"contacts": {
			{Name: "email", Type: "email", Unique: true},
			{Name: "braze_external_id", Type: "text", Unique: true},
			{Name: "firstname"},
			{Name: "lastname"},
			{Name: "phone"},
			{Name: "city"},
			{Name: "lifecyclestage", Type: "stage", Options: []string{
				"subscriber", "lead", "marketingqualifiedlead", "salesqualifiedlead", "opportunity", "customer", "evangelist",
			}},
			{Name: "hs_email_optout", Type: "bool"},
			{Name: "newsletter", Type: "bool"},
			{Name: "braze_email_status", Type: "text"},
			{Name: "braze_last_email_open", Type: "text"},
			{Name: "loyalty_tier", Type: "enumeration", Options: []string{"bronze", "silver", "gold"}},
			{Name: "loyalty_points", Type: "number"},
			{Name: "topics", Type: "checkbox"},
			{Name: "hs_object_id", Type: "number", ReadOnly: true},
			{Name: "createdate", ReadOnly: true},
			{Name: "lastmodifieddate", ReadOnly: true},
		},
		"notes": {
			{Name: "sluice_write_id", Unique: true},
			{Name: "hs_timestamp", Required: true},
			{Name: "hs_note_body"},
			{Name: "hs_object_id", Type: "number", ReadOnly: true},
		},
	}
}

// longestValue bounds a text (HubSpot's own bound, from memory).
const longestValue = 65536

// takes says what is wrong with a value, "" for nothing. before is the value as it stands.
func (p *Property) takes(value, before string) string {
	if value == "" {
		return "" // it is cleared
	}
	if len(value) > longestValue {
		return "is too long"
	}
	switch p.Type {
	case "number":
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			return "was not a valid number"
		}
	case "bool":
		if value != "true" && value != "false" {
			return "was not one of the allowed options: [true, false]"
		}
	case "enumeration":
		if len(p.Options) > 0 && !slices.Contains(p.Options, value) {
			return "was not one of the allowed options: [" + strings.Join(p.Options, ", ") + "]"
		}
	case "checkbox":
		for word := range strings.SplitSeq(value, ";") {
			if len(p.Options) > 0 && !slices.Contains(p.Options, word) {
				return "was not one of the allowed options: [" + strings.Join(p.Options, ", ") + "]"
			}
		}
	case "stage":
		now := slices.Index(p.Options, value)
		if now < 0 {
			return "was not one of the allowed options: [" + strings.Join(p.Options, ", ") + "]"
		}
		if now < slices.Index(p.Options, before) {
			return "cannot move backwards without being cleared first"
		}
	}
	return ""
}

// isAddress reports whether a text is an email address by itself.
func isAddress(text string) bool {
	a, err := mail.ParseAddress(text)
	return err == nil && a.Address == text && strings.Contains(text[strings.LastIndexByte(text, '@'):], ".")
}

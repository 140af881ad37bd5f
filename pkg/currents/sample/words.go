package sample

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// word appends the contents of a text field, escaped where that is needed.
func (m *maker) word(name string) {
	if list, ok := words[name]; ok {
		m.raw(pick(m.rng, list))
		return
	}
	switch name {
	case "user_id":
		m.hex(seed("person", m.person), 12)
	case "orphaned_by_id":
		m.hex(seed("person", (m.person+1)%people), 12)
	case "external_user_id":
		m.numbered("crm-", m.person, 7)
	case "device_id", "push_token_device_id":
		m.seeded("device", m.person)
	case "email_address":
		m.numbered("person", m.person, 4)
		m.raw("@mail.example")
	case "channel_identifier", "native_line_id", "bsuid":
		m.numbered("at-", m.person, 6)
	case "dispatch_id":
		m.hex(seed(name, m.n/50), 16)
	case "app_group_id":
		m.seeded(name, 0)
	case "session_id", "invocation_id", "request_id", "tool_call_id", "message_id", "response_id", "survey_session_id":
		m.seeded(name, m.n)
	case "url", "short_url", "endpoint_url", "target":
		m.raw("https://shop.example/p/")
		m.raw(strconv.Itoa(m.rng.IntN(500)))
		m.raw("?c=41f7&q=a%20b")
	case "message_extras":
		m.raw(`{\"tier\":\"gold\",\"n\":\"`)
		m.raw(strconv.Itoa(m.rng.IntN(9)))
		m.raw(`\"}`)
	case "answer_multiple_strings":
		m.raw(`[\"Choice 1\",\"Choice 2\"]`)
	case "conversion_behavior":
		m.raw(`{\"type\":\"Makes Any Purchase\",\"window\":259200}`)
	case "custom_attributes", "tool_arguments":
		m.raw(`{\"shoe_size\":43}`)
	case "combination_token":
		m.raw("0_1_0")
	case "dob":
		m.raw("1984-02-29")
	default:
		m.shaped(name)
	}
}

// shaped appends what the name's form asks for.
func (m *maker) shaped(name string) {
	switch {
	case strings.Contains(name, "phone_number"):
		m.numbered("+43660", m.person, 7)
	case strings.HasSuffix(name, "_token"), strings.HasSuffix(name, "_key"), strings.HasSuffix(name, "_auth"):
		m.hex(seed(name, m.person), 32)
	case strings.HasSuffix(name, "_id"):
		m.seeded(name, m.rng.IntN(12))
	case strings.HasSuffix(name, "_ip"):
		m.numbered("192.0.2.", 1+m.rng.IntN(200), 0)
	default:
		m.raw(strings.ReplaceAll(name, "_", " "))
		m.numbered(" ", m.rng.IntN(12), 0)
	}
}

// numbered appends a prefix and a number of at least so many digits.
func (m *maker) numbered(prefix string, n, digits int) {
	m.raw(prefix)
	s := strconv.Itoa(n)
	for range digits - len(s) {
		m.raw("0")
	}
	m.raw(s)
}

// seeded appends the UUID of what has a name and a number.
func (m *maker) seeded(name string, n int) {
	var b [16]byte
	put(b[:8], seed(name, n))
	put(b[8:], seed(name, n+1<<20)|1<<63)
	m.uuid(b)
}

// hex appends so many bytes that follow from a seed.
func (m *maker) hex(from uint64, length int) {
	var b [8]byte
	for length > 0 {
		put(b[:], from)
		m.dst = hex.AppendEncode(m.dst, b[:min(length, 8)])
		length -= 8
		from = from*6364136223846793005 + 1442695040888963407
	}
}

// words are the values of fields that have few.
var words = map[string][]string{
	"platform":                     {"ios", "android", "web", "kindle", "tvos", "roku"},
	"os_version":                   {"17.6.1", "18.1", "Android (14)", "15"},
	"device_model":                 {"iPhone 15", "Pixel 9", "Galaxy S24", "iPad Air"},
	"device_class":                 {"mobile", "desktop", "tablet"},
	"device_os":                    {"iOS", "Android", "Windows"},
	"ad_id_type":                   {"ios_idfa", "google_ad_id", "windows_ad_id", "roku_ad_id"},
	"gender":                       {"M", "F", "O", "N", "P"},
	"country":                      {"AT", "DE", "CH", "US"},
	"language":                     {"de", "en", "fr"},
	"timezone":                     {"Europe/Vienna", "Europe/Berlin", "America/New_York", "Asia/Tokyo"},
	"carrier":                      {"A1", "Magenta", "Drei"},
	"resolution":                   {"828x1792", "1080x2400"},
	"browser":                      {"Chrome", "Safari", "Firefox"},
	"sdk_version":                  {"11.2.0", "33.0.1"},
	"user_agent":                   {"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X)", "Mozilla/5.0 (X11; Linux x86_64)"},
	"subscription_status":          {"Subscribed", "Unsubscribed"},
	"channel":                      {"email", "sms", "push", "whats_app"},
	"state_change_source":          {"SDK", "Dashboard", "Subscription Page", "REST API", "CSV import", "Preference Center", "List-Unsubscribe"},
	"machine_open":                 {"true"},
	"esp":                          {"SparkPost", "SendGrid", "Amazon SES"},
	"from_domain":                  {"news.shop.example"},
	"recipient_domain":             {"mail.example"},
	"mailbox_provider":             {"Gmail", "Yahoo", "Outlook"},
	"bounce_reason":                {"550 5.1.1 no such user", "452 4.2.2 over quota"},
	"deferral_reason":              {"421 4.7.0 try again later"},
	"currency":                     {"EUR", "USD", "CHF"},
	"name":                         {"store_visit_booked", "wishlist_shared", "Gutschein eingelöst"},
	"source":                       {"organic", "partner network"},
	"abort_type":                   {"liquid_abort_message", "rate_limit", "frequency_capped", "exhausted_retries"},
	"abort_log":                    {"Aborted: \\\"no offer\\\"", "limit of the campaign"},
	"retry_type":                   {"prioritization", "rate_limit"},
	"push_token_state_change_type": {"add", "update", "remove"},
	"live_activity_event_type":     {"start", "update", "end"},
	"live_activity_event_outcome":  {"success", "failure"},
	"button_action_type":           {"uri", "deep_link", "none", "close"},
	"action":                       {"Subscribed", "Unsubscribed", "None"},
	"message_body":                 {"STOP", "Wann kommt mein Paket? 📦", "line one\\nline two"},
	"progression_type":             {"advance", "exit"},
	"interaction_type":             {"tap", "suggestion"},
	"webhook_failure_source":       {"External Endpoint", "Braze"},
	"host":                         {"hooks.shop.example"},
	"url_path":                     {"/v1/crm"},
	"raw_response":                 {"{\\\"error\\\":\\\"busy\\\"}"},
	"provider_error_code":          {"30003", "30007"},
	"category":                     {"marketing", "transactional"},
	"model_provider":               {"a provider", "another provider"},
	"update_source":                {"sdk", "rest_api"},
}

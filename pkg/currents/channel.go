package currents

import "strings"

// channelOf is the channel of the message that an event is about, after its type: the word behind
// users.messages, in the spelling of Braze's own "channel" properties where they have one. It is empty
// for a type that is about no message. A channel that is new to us keeps Braze's word.
func channelOf(typeName string) string {
	rest, ok := strings.CutPrefix(typeName, "users.messages.")
	if !ok {
		return ""
	}
	word, _, ok := strings.Cut(rest, ".")
	if !ok {
		return ""
	}
	switch word {
	case "pushnotification":
		return "push"
	case "inappmessage":
		return "in_app_message"
	case "contentcard":
		return "content_card"
	case "featureflag":
		return "feature_flag"
	case "liveactivity":
		return "live_activity"
	case "newsfeedcard":
		return "news_feed"
	case "landingpage":
		return "landing_page"
	}
	return word // email, sms, rcs, whatsapp, line, webhook, banner, survey
}

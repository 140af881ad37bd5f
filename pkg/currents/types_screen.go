package currents

// What the events of one kind of message within an app say.
const (
	banner = base + " " + campaign + " " + canvas + " " + device + " " + ads + " " + person + " " + phone + " " + zone + " " + apiVariation +
		" app_id banner_placement_id"
	wholeBanner = base + " " + campaign + " " + canvas + " " + device + " " + ads + " " + wholePerson + " " + wholePhone + " " + zone + " " + apiVariation +
		" app_id banner_placement_id"
	card  = base + " " + campaign + " " + canvas + " " + device + " " + ads + " " + zone + " " + httpDispatch + " content_card_id* app_id* send_id"
	inApp = base + " " + campaign + " " + canvas + " " + device + " " + ads + " " + zone + " " + httpDispatch + " app_id* card_id send_id"
	feed  = "user_id* external_user_id " + device + " " + zone + " app_id card_id"

	unique = "is_unique:boolean" // since version 11
)

var screens = []Type{
	when("users.messages.banner.Abort", "a banner was not shown", banner, "abort_type abort_log"),
	when("users.messages.banner.Click", "a banner was clicked", banner, unique, "button_id"),
	when("users.messages.banner.Dismiss", "a banner was dismissed", wholeBanner, unique, "button_id").since(8),
	when("users.messages.banner.Impression", "a banner was seen", banner, unique),

	when("users.messages.contentcard.Abort", "a Content Card was given up", base, campaign, canvas, sending, zone, variation,
		"abort_log abort_type device_id"),
	when("users.messages.contentcard.Click", "a Content Card was clicked", card, unique),
	when("users.messages.contentcard.Dismiss", "a Content Card was dismissed", card, unique),
	when("users.messages.contentcard.Impression", "a Content Card was seen", card, unique),
	when("users.messages.contentcard.Send", "a Content Card was sent", base, campaign, canvas, zone, httpDispatch,
		"content_card_id* send_id device_id message_extras"),

	when("users.messages.featureflag.Impression", "a feature flag was seen", base, campaign, canvas, device, person, phone, zone, variation, unique,
		"app_id feature_flag_id_name"),

	when("users.messages.inappmessage.Abort", "an in-app message was given up", base, campaign, canvas, sending, device, ads, zone, variation,
		"abort_log abort_type app_id browser@avro card_id carrier@avro resolution@avro version*@avro"),
	when("users.messages.inappmessage.Click", "an in-app message was clicked", inApp, "button_id"),
	when("users.messages.inappmessage.Impression", "an in-app message was seen", inApp, "message_extras locale_key"),

	when("users.messages.newsfeedcard.Abort", "a News Feed card was given up", feed, "app_group_id abort_type abort_log").but(Legacy),
	when("users.messages.newsfeedcard.Click", "a News Feed card was clicked", feed).but(Legacy),
	when("users.messages.newsfeedcard.Impression", "a News Feed card was seen", feed).but(Legacy),
}

// landing is what every event of a landing page says.
const landing = base + " landing_page_api_id landing_page_name"

var pages = []Type{
	when("users.messages.landingpage.Click", "something on a landing page was clicked", landing, "target").since(11),
	when("users.messages.landingpage.FormSubmission", "a landing page's form was sent; what was entered is not said", landing).since(11),
	when("users.messages.landingpage.Impression", "a landing page was seen", landing, "liquid_enabled:boolean").since(11),
	when("users.messages.survey.Response", "a question of a survey was answered", base, campaign, canvas, device, ads, zone, apiVariation,
		"gender country carrier browser sdk_version app_id message_extras",
		"survey_id* question_id* question_reporting_id response_id survey_session_id survey_completion_status",
		"answer_type answer_single_string answer_single_boolean:boolean answer_single_number:double answer_long_string answer_multiple_strings",
		"landing_page_api_id landing_page_name").since(11),
}

package currents

// mail is what most events of an email say.
const mail = base + " " + campaign + " " + canvas + " " + sending + " " + zone + " email_address*"

var emails = []Type{
	when("users.messages.email.Abort", "an email was given up before it was sent", mail, variation, "abort_log abort_type device_id ip_pool"),
	when("users.messages.email.Bounce", "an address does not exist or never accepts", mail, httpDevice,
		"sending_ip ip_pool bounce_reason esp from_domain is_drop:boolean"),
	when("users.messages.email.Click", "a link in an email was clicked", mail, httpDevice,
		"url user_agent ip_pool link_id link_alias esp from_domain is_amp:boolean device_class device_os device_model browser mailbox_provider",
		"is_suspected_bot_click:boolean suspected_bot_click_reason:string[]"),
	when("users.messages.email.Deferral", "a mailbox provider put an email off", mail, variation,
		"recipient_domain esp from_domain ip_pool sending_ip deferral_reason attempt_count:int"),
	when("users.messages.email.Delivery", "a mailbox provider accepted an email", mail, httpDevice, "sending_ip ip_pool esp from_domain"),
	when("users.messages.email.MarkAsSpam", "an email was marked as spam", mail, httpDevice, "user_agent ip_pool esp from_domain"),
	when("users.messages.email.Open", "an email was opened, by a person or by a machine", mail, httpDevice,
		"user_agent ip_pool machine_open esp from_domain is_amp:boolean device_class device_os device_model browser mailbox_provider"),
	when("users.messages.email.Retry", "an email was held back and will be tried again", mail, person, variation,
		"retry_type retry_log ip_pool device_id").since(5).but(Beta),
	when("users.messages.email.Send", "an email was handed to the sending service", mail, httpDevice, "ip_pool message_extras from_domain@avro"),
	when("users.messages.email.SoftBounce", "an address did not accept an email for now", mail, httpDevice,
		"sending_ip ip_pool bounce_reason esp from_domain"),
	when("users.messages.email.Unsubscribe", "a user unsubscribed from email", mail, httpDevice, "ip_pool"),
}

var pushes = []Type{
	when("users.messages.liveactivity.Outcome", "a push to a Live Activity had an outcome", base,
		"activity_id activity_attributes_type push_to_start_token update_token live_activity_event_type live_activity_event_outcome app_id"),
	when("users.messages.liveactivity.Send", "a push to a Live Activity was sent", base,
		"activity_id activity_attributes_type push_to_start_token update_token live_activity_event_type app_id"),
	when("users.messages.pushnotification.Abort", "a push was given up before it was sent", base, campaign, canvas, sending, zone, variation,
		"abort_log abort_type app_id device_id platform*"),
	when("users.messages.pushnotification.Bounce", "Apple or Google rejected a push", base, campaign, canvas, sending, ads, zone,
		"app_id* platform device_id push_token"),
	when("users.messages.pushnotification.IosForeground", "a push came while the app was open on iOS", base, campaign, canvas, sending, ads, zone,
		"app_id* platform* device_id os_version@http device_model@http"),
	when("users.messages.pushnotification.Open", "a push was opened, or one of its buttons used", base, campaign, canvas, sending, device, ads, zone, variation,
		"app_id* button_action_type button_string"),
	when("users.messages.pushnotification.Retry", "a push was held back and will be tried again", base, campaign, canvas, sending, person, zone, variation,
		"device_id app_id platform* retry_type retry_log").since(5).but(Beta),
	when("users.messages.pushnotification.Send", "a push was handed to Apple or Google", base, campaign, canvas, sending, ads, zone,
		"app_id* platform* device_id message_extras push_token locale_key"),
}

// webhook is what every event of a webhook says.
const webhook = base + " " + campaign + " " + canvas + " " + sending

var webhooks = []Type{
	when("users.messages.webhook.Abort", "a webhook was given up before it was sent", webhook, zone, variation, "abort_log abort_type device_id"),
	when("users.messages.webhook.Failure", "a webhook was answered with an error, for now or for good", webhook, variation,
		"http_status_code:int endpoint_url content_length:int host raw_response retry_count:int url_path webhook_duration:int",
		"webhook_failure_source is_terminal:boolean"),
	when("users.messages.webhook.Retry", "a webhook was held back and will be tried again", webhook, person, zone, variation,
		"device_id retry_type retry_log").since(5).but(Beta),
	when("users.messages.webhook.Send", "a webhook was sent, which is no proof that it arrived", webhook, zone, httpDevice, "message_extras"),
}

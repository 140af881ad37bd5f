package currents

// What the events of one kind of text message say.
const (
	sms      = base + " " + campaign + " " + canvas + " " + sending + " " + zone + " to_phone_number subscription_group_id"
	rcs      = base + " " + campaign + " " + canvas + " " + variation
	inbound  = "user_id external_user_id app_group_id" // from a number that may be nobody's
	fallback = "is_sms_fallback:boolean"
	bot      = "is_suspected_bot_click:boolean suspected_bot_click_reason:string[]"

	whatsApp = campaign + " " + canvas + " " + zone + " " + variation + " device_id"
	metaSent = whatsApp + " " + sending + " to_phone_number from_phone_number* subscription_group_id template_name message_id flow_id bsuid"

	line = base + " " + sending + " " + zone + " " + variation +
		" campaign_id campaign_name message_variation_id canvas_id canvas_variation_id canvas_step_id canvas_step_name device_id subscription_group_id"
	lineIDs = "line_channel_id* line_channel_name* native_line_id*"
)

var texts = []Type{
	when("users.messages.rcs.Abort", "an RCS message was given up", rcs, "abort_log abort_type subscription_group_id").since(3),
	when("users.messages.rcs.Click", "something in an RCS message was tapped", rcs, bot,
		"device_id send_id short_url user_agent user_phone_number interaction_type* element_label element_type url subscription_group_id").since(3),
	when("users.messages.rcs.Delivery", "an RCS message reached the phone", rcs, sending,
		"device_id subscription_group_id to_phone_number* from_rcs_sender").since(3),
	when("users.messages.rcs.InboundReceive", "a user sent an RCS message", inbound, campaign, canvas, variation,
		"action* media_urls:string[] send_id user_phone_number* subscription_group_id message_body* to_rcs_sender*").since(3),
	when("users.messages.rcs.Read", "an RCS message was read", rcs, "to_phone_number*").since(3),
	when("users.messages.rcs.Rejection", "a carrier rejected an RCS message", rcs, sending, fallback,
		"device_id error from_rcs_sender provider_error_code subscription_group_id to_phone_number*").since(3),
	when("users.messages.rcs.Send", "an RCS message was handed to the provider", rcs, sending,
		"category device_id from_rcs_sender message_extras subscription_group_id to_phone_number*").since(3),

	when("users.messages.sms.Abort", "an SMS was given up", base, campaign, canvas, variation, "abort_log abort_type subscription_group_id"),
	when("users.messages.sms.CarrierSend", "an SMS was handed to the carrier", sms, httpDevice, "from_phone_number"),
	when("users.messages.sms.Delivery", "an SMS was delivered", sms, httpDevice, fallback, "from_phone_number"),
	when("users.messages.sms.DeliveryFailure", "an SMS could not be handed to the provider", sms, httpDevice, fallback, "error provider_error_code"),
	when("users.messages.sms.InboundReceive", "a user sent an SMS", "user_id external_user_id app_group_id*", campaign, canvas,
		"user_phone_number* subscription_group_id inbound_phone_number* action* message_body* media_urls:string[]"),
	when("users.messages.sms.Rejection", "an SMS did not reach the phone", sms, httpDevice, fallback, "from_phone_number error provider_error_code"),
	when("users.messages.sms.Retry", "an SMS was held back and will be tried again", base, campaign, canvas, variation,
		"subscription_group_id retry_type retry_log").since(5).but(Beta),
	when("users.messages.sms.Send", "an SMS was sent by Braze", sms, httpDevice, "category message_extras"),
	when("users.messages.sms.ShortLinkClick", "a short link was clicked", base, campaign, canvas, zone, httpDevice, bot,
		"url* short_url* user_agent user_phone_number"),
}

var chats = []Type{
	when("users.messages.line.Abort", "a LINE message was given up", line, lineIDs, "abort_log abort_type").since(3),
	when("users.messages.line.Click", "a link in a LINE message was clicked", line, lineIDs,
		"is_suspected_bot_click:boolean short_url* url* user_agent").since(3),
	when("users.messages.line.InboundReceive", "a user sent a LINE message", line, lineIDs, "media_id message_body").since(3),
	when("users.messages.line.Retry", "a LINE message was held back and will be tried again", line,
		"line_channel_id line_channel_name native_line_id retry_log retry_type").since(5).but(Beta),
	when("users.messages.line.Send", "a LINE message was sent", line, lineIDs, "message_extras").since(3),

	when("users.messages.whatsapp.Abort", "a WhatsApp message was given up", base, whatsApp,
		"to_phone_number subscription_group_id dispatch_id abort_type abort_log bsuid").longTime(),
	when("users.messages.whatsapp.Click", "a link or button of a WhatsApp message was used", base, whatsApp,
		"url* short_url* user_agent user_phone_number"),
	when("users.messages.whatsapp.Delivery", "a WhatsApp message was delivered", base, metaSent).longTime(),
	when("users.messages.whatsapp.Failure", "a WhatsApp message failed after Meta had it", base, metaSent,
		"provider_error_code* provider_error_title*").longTime(),
	when("users.messages.whatsapp.InboundReceive", "a user sent a WhatsApp message", inbound, whatsApp,
		"user_phone_number inbound_phone_number* subscription_group_id message_body quick_reply_text media_urls:string[] action*",
		"catalog_id product_id flow_id flow_response_json message_id in_reply_to bsuid").longTime(),
	when("users.messages.whatsapp.Read", "a WhatsApp message was read", base, metaSent).longTime(),
	when("users.messages.whatsapp.Retry", "a WhatsApp message was held back and will be tried again", base, whatsApp,
		"to_phone_number subscription_group_id dispatch_id retry_type retry_log bsuid").since(5).but(Beta),
	when("users.messages.whatsapp.Send", "a WhatsApp message was handed to Meta", base, campaign, sending, zone, variation,
		"device_id to_phone_number from_phone_number* subscription_group_id template_name message_id flow_id bsuid message_extras",
		"canvas_id canvas_name canvas_variation_id canvas_variation_name@http canvas_step_id canvas_step_name").longTime(),
}

var agents = []Type{
	when("agentconsole.AgentExecuted", "an agent of the Agent Console ran", "user_id external_user_id", canvas,
		"invocation_id* request_id* duration*:int prompt_tokens*:int completion_tokens*:int total_tokens*:int cache_tokens*:int reasoning_tokens*:int",
		"agent_id* agent_name* model_provider* model_name* provider_request_id cache_hit*:boolean llm_owned_by_customer*:boolean is_error*:boolean",
		"input output invocation_source error thinking_level").since(5).longTime(),
	when("agentconsole.ToolInvocation", "an agent called a tool",
		"tool_call_id* duration*:int agent_id* agent_name* is_error*:boolean tool_name* tool_arguments* invocation_source request_id").since(5).longTime(),
	when("contentoptimizer.ComponentStore", "the content optimizer stored a combination", "external_user_id app_group_id",
		"content_optimizer_step_id* combination_token* content is_active:boolean").since(11),
}

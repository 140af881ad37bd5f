package currents

// left is what every exit from a Canvas says. The ids with "api" in their names are deprecated.
const left = "user_id* external_user_id app_group_id* app_group_api_id@avro" +
	" canvas_id* canvas_name canvas_variation_id* canvas_variation_name canvas_step_id canvas_step_name" +
	" canvas_api_id@avro canvas_variation_api_id@avro canvas_step_api_id@avro"

var campaigns = []Type{
	when("users.behaviors.subscription.GlobalStateChange", "the subscription to a whole channel changed", base, canvas, zone,
		"email_address state_change_source subscription_status* channel app_id campaign_id campaign_name message_variation_id send_id channel_identifier",
		"message_variation_name@http"),
	when("users.behaviors.subscriptiongroup.StateChange", "the membership of a subscription group changed", base, campaign, canvas, sending, zone, httpDevice,
		"email_address phone_number app_id subscription_group_id* subscription_status* channel state_change_source channel_identifier"),

	when("users.campaigns.Abort", "a campaign's message was aborted", base, campaign, sending, zone,
		"canvas_id@avro device_id abort_log abort_type").since(0).but(Unannounced),
	when("users.campaigns.Conversion", "a user did what the campaign is measured by", base, zone, httpDevice, httpDispatch,
		"app_id campaign_id* campaign_name message_variation_id message_variation_name send_id conversion_behavior_index:int conversion_behavior"),
	when("users.campaigns.EnrollInControl", "a user was put into the campaign's control group and is sent nothing", base, zone, httpDevice, httpDispatch,
		"app_id campaign_id* campaign_name message_variation_id message_variation_name send_id"),
	when("users.campaigns.UniqueReceipt", "a user received a campaign for the first time", base, campaign, sending, zone, wholePerson,
		"device_id app_id").since(0).but(Unannounced),

	when("users.canvas.Abort", "a Canvas's message was aborted", base, canvas, zone, variation,
		"device_id abort_log abort_type").since(0).but(Unannounced),
	when("users.canvas.Conversion", "a user did what the Canvas is measured by", base, zone, httpDevice,
		"app_id canvas_id* canvas_name canvas_variation_id* canvas_variation_name canvas_step_id canvas_step_name",
		"conversion_behavior_index:int conversion_behavior"),
	when("users.canvas.Entry", "a user entered a Canvas", base, zone, httpDevice,
		"canvas_id* canvas_name canvas_variation_id* canvas_variation_name canvas_step_id canvas_step_name in_control_group*:boolean"),
	when("users.canvas.costep.Conversion", "a user did what a content optimizer step is measured by", base,
		"dispatch_id channel conversion_type combination_token*").since(11),
	when("users.canvas.costep.Send", "a content optimizer step sent a message", base,
		"dispatch_id channel canvas_variation_id content_optimizer_step_id* combination_token*").since(10),
	when("users.canvas.exit.MatchedAudience", "a user left a Canvas by matching its exit audience", left),
	when("users.canvas.exit.PerformedEvent", "a user left a Canvas by doing its exit event", left),
	when("users.canvas.experimentstep.Conversion", "a user did what an experiment step is measured by", "user_id* external_user_id", canvas,
		"app_id experiment_step_id experiment_split_id experiment_split_name conversion_behavior_index:int conversion_behavior"),
	when("users.canvas.experimentstep.SplitEntry", "a user was put on a path of an experiment step", "user_id* external_user_id", canvas,
		"experiment_step_id experiment_split_id experiment_split_name in_control_group*:boolean"),
	when("users.canvas.sendtodestination.NotSent", "a user was not sent to a Canvas step's destination", base, canvas,
		"canvas_step_type destination_api_id destination_name destination_type reason").since(0).but(Unannounced),
	when("users.canvas.sendtodestination.Sent", "a user was sent to a Canvas step's destination", base, canvas,
		"canvas_step_type destination_api_id destination_name destination_type destination_variant_type destination_variation_name").since(0).but(Unannounced),
	when("users.canvasstep.Progression", "a user moved from one Canvas step to another, or out", base, canvas,
		"device_id progression_type* is_canvas_entry:boolean exit_reason canvas_entry_id* next_step_id"),
}

package currents

var behaviours = []Type{
	when("users.behaviors.CustomEvent", "a custom event was logged", base, device, ads, zone,
		"app_id name* custom_properties*:json=properties"),
	when("users.behaviors.InstallAttribution", "an install was attributed to a source", base, httpDevice, "source*"),
	when("users.behaviors.Location", "a location was recorded", base, device, ads,
		"app_id* latitude*:float longitude*:float altitude:float ll_accuracy:float alt_accuracy:float"),
	when("users.behaviors.Purchase", "a purchase was logged", base, device, ads,
		"app_id product_id* price*:float currency* purchase_properties*:json=properties"),
	when("users.behaviors.Uninstall", "an app seems to be gone: a silent push of the daily check failed", base, "device_id app_id*"),
	when("users.behaviors.app.FirstSession", "a user opened an app for the first time", base, device, person, zone,
		"app_id* session_id* sdk_version@avro"),
	when("users.behaviors.app.SessionEnd", "a session ended; duration is in seconds", base, device, "app_id* duration:float session_id*"),
	when("users.behaviors.app.SessionStart", "a session began", base, device, "app_id* session_id*"),
	when("users.behaviors.liveactivity.PushToStartTokenChange", "a token for starting iOS Live Activities changed", base,
		"activity_attributes_type push_to_start_token device_id sdk_version@avro ios_push_token_apns_gateway:int push_token_state_change_type app_id"),
	when("users.behaviors.liveactivity.UpdateTokenChange", "a token for updating an iOS Live Activity changed", base,
		"activity_id update_token device_id sdk_version@avro ios_push_token_apns_gateway:int push_token_state_change_type app_id"),
	when("users.behaviors.pushnotification.TokenStateChange", "a push token was added, updated or removed", base,
		"app_id time_ms:long platform push_token sdk_version@avro push_token_device_id push_token_created_at:int push_token_updated_at:int",
		"web_push_token_user_auth web_push_token_public_key ios_push_token_apns_gateway:int push_token_state_change_type",
		"web_push_token_vapid_public_key push_token_provisionally_opted_in:boolean push_token_foreground_push_disabled:boolean"),
}

var profiles = []Type{
	when("users.RandomBucketNumberUpdate", "a new profile was given its random bucket", base,
		"random_bucket_number*:int prev_random_bucket_number:int").but(Storage),
	when("users.UserDeleteRequest", "a profile was deleted on request", "user_id* app_group_id").since(10),
	when("users.UserOrphan", "a profile was merged into another one, orphaned_by_id, and is gone", base,
		"device_id app_id orphaned_by_id*").since(10),
	when("users.profile.Update", "fields of a profile changed", base, wholePerson, zone,
		"time_ms*:long app_id update_source* archived:boolean first_name last_name email_address phone_number dob home_city custom_attributes",
	).since(7).but(Storage),
}

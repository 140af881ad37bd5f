package braze

// Documented limits of /users/track. A figure's page stands behind it.
const (
	// MaxObjects is how many objects a request may hold over its three arrays together (braze-docs:
	// api_limits). Accounts with legacy limits may hold as many in each array; some newer contracts
	// have been told 50 (braze-docs: post_user_track, edition of 2025).
	MaxObjects = 75
	// MaxBody is the size of a request's body in bytes; beyond it Braze answers 413 or 400
	// (braze-docs: api_limits, endpoints/user_data).
	MaxBody = 4 << 20
	// MaxNameLen is the length in characters of a property's or custom attribute's name
	// (braze-docs: event_object, custom_attributes).
	MaxNameLen = 255
	// MaxStringLen is the length in characters of a string value in properties and custom attributes
	// (braze-docs: event_object, setting_custom_attributes).
	MaxStringLen = 255
	// MaxProperties is how many properties of an event or purchase are kept; Braze drops the later
	// ones without a word (braze-docs: custom_events).
	MaxProperties = 256
	// MaxPropertyBytes is the size of an event's properties (braze-docs: event_object).
	MaxPropertyBytes = 102_400
	// MaxPurchasePropertyBytes is the size of a purchase's properties (braze-docs: purchase_object).
	MaxPurchasePropertyBytes = 51_200
	// MaxExternalID is the length of an external_id in bytes (braze-docs: post_user_track,
	// EXTERNAL_USER_ID_TOO_LARGE).
	MaxExternalID = 987
	// MaxProductID is the length of a purchase's product_id in characters (braze-docs:
	// purchase_object).
	MaxProductID = 255
	// MaxQuantity is the largest quantity of a purchase (braze-docs: purchase_object).
	MaxQuantity = 100
)

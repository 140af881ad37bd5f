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

// Documented limits of the other calls. How many users or items each takes is its [Endpoint]'s MaxItems.
const (
	// MaxBulkPerUser is how many objects of a /users/track/bulk request may be about one user
	// (braze-docs: post_user_track_bulk).
	MaxBulkPerUser = 100
	// MaxTriggerBytes is the size of trigger_properties, and of a Canvas's context, as JSON: of each
	// recipient's and of the request's (braze-docs: trigger_properties_object, context_object).
	MaxTriggerBytes = 51_200
	// MaxCatalogName is the length in characters of a catalog's name and description, a field's name and
	// an item's id (braze-docs: post_create_catalog, post_create_catalog_items_bulk).
	MaxCatalogName = 250
	// MaxCatalogFields is how many fields a catalog may have, its id included (braze-docs:
	// post_create_catalog).
	MaxCatalogFields = 500
	// MaxCatalogValue is the length in characters of a value of a catalog item (braze-docs:
	// post_create_catalog_items_bulk). Whether that of an object counts as JSON is not documented; here
	// the strings in it count, each by itself.
	MaxCatalogValue = 5000
	// MaxCatalogNesting is how many levels deep an object of a catalog item may be nested (braze-docs:
	// post_create_catalog_items_bulk).
	MaxCatalogNesting = 50
	// MaxCatalogArray is how many elements an array of a catalog item may have (braze-docs: data_types).
	MaxCatalogArray = 100
	// MaxExport is how many bytes of an answer to /users/export/ids are read. Braze documents no size.
	MaxExport = 16 << 20
)

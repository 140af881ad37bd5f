package braze

import (
	"net/http"
	"net/url"
	"strings"
)

// Endpoint describes one call of Braze's API. There is one variable for each that this package knows;
// they are compared by address and never written to.
type Endpoint struct {
	Method string
	// Path below the REST endpoint. What stands in braces is filled in by [Endpoint.At].
	Path string
	// Permission is what the API key must have been given when it was made.
	Permission string
	MaxItems   int // objects, recipients, users or items in one request
	MaxBody    int // bytes
	// Pool is what a request draws from. Broadcasts draw from [PoolBroadcast] instead.
	Pool *Pool
	// Repeatable says that making a call again, whatever is in it, ends in the same state as making it
	// once. Where that depends on what is in it, this is false and the body's own Repeatable tells.
	// Braze documents no idempotency but that of external_send_id; the rest is our reading of what the
	// calls do.
	Repeatable bool
	Source     string // page of Braze's documentation

	maxAnswer int  // bytes of an answer that are read; 0 means maxAnswer
	keepsBody bool // the answer is the point of the call
}

// String is the method and the path, for logs and metrics.
func (e *Endpoint) String() string { return e.Method + " " + e.Path }

// At is the endpoint's path with its braces filled in, in their order.
func (e *Endpoint) At(values ...string) string {
	var path strings.Builder
	rest := e.Path
	for _, value := range values {
		before, after, found := strings.Cut(rest, "{")
		if !found {
			break
		}
		path.WriteString(before)
		path.WriteString(url.PathEscape(value))
		_, rest, _ = strings.Cut(after, "}")
	}
	path.WriteString(rest)
	return path.String()
}

const (
	mostUsers = 50 // in all calls that take users, recipients or items
	mostBulk  = 2 << 20
)

// The calls about users' data.
var (
	UsersTrack = &Endpoint{
		Method: http.MethodPost, Path: "/users/track", Permission: "users.track",
		MaxItems: MaxObjects, MaxBody: MaxBody, Pool: PoolTrack, Source: "braze-docs: post_user_track",
	}
	// UsersTrackBulk is a beta closed to new customers. /users/track has priority before it. It takes at
	// most [MaxBulkPerUser] objects of one user.
	UsersTrackBulk = &Endpoint{
		Method: http.MethodPost, Path: "/users/track/bulk", Permission: "users.track.bulk",
		MaxItems: 1000, MaxBody: mostBulk, Pool: PoolTrackBulk, Source: "braze-docs: post_user_track_bulk",
	}
	// UsersTrackSync is a limited beta. Its 201 means applied and not only queued: sent one after the
	// other, its calls keep a user's order.
	UsersTrackSync = &Endpoint{
		Method: http.MethodPost, Path: "/users/track/sync", Permission: "users.track.sync",
		MaxItems: 1, MaxBody: MaxBody, Pool: PoolTrackSync, Source: "braze-docs: post_user_track_synchronous",
	}
	UsersIdentify = &Endpoint{
		Method: http.MethodPost, Path: "/users/identify", Permission: "users.identify",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolUserLifecycle, Repeatable: true, Source: "braze-docs: post_user_identify",
	}
	UsersAliasNew = &Endpoint{
		Method: http.MethodPost, Path: "/users/alias/new", Permission: "users.alias.new",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolUserLifecycle, Repeatable: true, Source: "braze-docs: post_user_alias",
	}
	// UsersMerge sums counters, but the merged user is gone then, and a second time there is nothing to sum.
	UsersMerge = &Endpoint{
		Method: http.MethodPost, Path: "/users/merge", Permission: "users.merge",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolUserLifecycle, Repeatable: true, Source: "braze-docs: post_users_merge",
	}
	// UsersDelete deletes for good; repeated later it deletes whoever has the name by then.
	UsersDelete = &Endpoint{
		Method: http.MethodPost, Path: "/users/delete", Permission: "users.delete",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolUserLifecycle, Repeatable: true, Source: "braze-docs: post_user_delete",
	}
	// UsersExternalIDsRename refuses, when repeated, what it did the first time.
	UsersExternalIDsRename = &Endpoint{
		Method: http.MethodPost, Path: "/users/external_ids/rename", Permission: "users.external_ids.rename",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolRename, Repeatable: true, Source: "braze-docs: post_external_ids_rename",
	}
	UsersExportIDs = &Endpoint{
		Method: http.MethodPost, Path: "/users/export/ids", Permission: "users.export.ids",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolExport, Repeatable: true, Source: "braze-docs: post_users_identifier",
		maxAnswer: MaxExport, keepsBody: true,
	}
)

// The calls that send messages.
var (
	CampaignsTriggerSend = &Endpoint{
		Method: http.MethodPost, Path: "/campaigns/trigger/send", Permission: "campaigns.trigger.send",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolGeneral, Source: "braze-docs: post_send_triggered_campaigns",
	}
	CanvasTriggerSend = &Endpoint{
		Method: http.MethodPost, Path: "/canvas/trigger/send", Permission: "canvas.trigger.send",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolGeneral, Source: "braze-docs: post_send_triggered_canvases",
	}
	MessagesSend = &Endpoint{
		Method: http.MethodPost, Path: "/messages/send", Permission: "messages.send",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolGeneral, Source: "braze-docs: post_send_messages",
	}
	// TransactionalSend has no limit of its own: it counts toward the general one, and what has been paid
	// for is an hourly allotment within which delivery is fast. With an external_send_id it is repeatable
	// for 24 hours.
	TransactionalSend = &Endpoint{
		Method: http.MethodPost, Path: "/transactional/v1/campaigns/{campaign_id}/send", Permission: "transactional.send",
		MaxItems: 1, MaxBody: MaxBody, Pool: PoolGeneral, Source: "braze-docs: post_send_transactional_message",
	}
	SendsIDCreate = &Endpoint{
		Method: http.MethodPost, Path: "/sends/id/create", Permission: "sends.id.create",
		MaxItems: 1, MaxBody: MaxBody, Pool: PoolSendIDs, Source: "braze-docs: post_create_send_ids",
	}
)

// The calls about subscriptions.
var (
	SubscriptionStatusSet = &Endpoint{
		Method: http.MethodPost, Path: "/subscription/status/set", Permission: "subscription.status.set",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolSubscription, Repeatable: true,
		Source: "braze-docs: post_update_user_subscription_group_status",
	}
	// SubscriptionStatusSetV2 takes MaxItems users for each group.
	SubscriptionStatusSetV2 = &Endpoint{
		Method: http.MethodPost, Path: "/v2/subscription/status/set", Permission: "subscription.status.set",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolSubscription, Repeatable: true,
		Source: "braze-docs: post_update_user_subscription_group_status_v2",
	}
	EmailStatus = &Endpoint{
		Method: http.MethodPost, Path: "/email/status", Permission: "email.status",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolGeneral, Repeatable: true, Source: "braze-docs: post_email_subscription_status",
	}
)

// The calls about catalogs.
var (
	CatalogsCreate = &Endpoint{
		Method: http.MethodPost, Path: "/catalogs", Permission: "catalogs.create",
		MaxItems: 1, MaxBody: MaxBody, Pool: PoolCatalogs, Repeatable: true, Source: "braze-docs: post_create_catalog",
	}
	// CatalogFieldsCreate answers 202 and adds the fields later. What becomes of one that is there is not
	// documented.
	CatalogFieldsCreate = &Endpoint{
		Method: http.MethodPost, Path: "/catalogs/{catalog_name}/fields", Permission: "catalogs.create_fields",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolCatalogFields, Repeatable: true, Source: "braze-docs: post_create_catalog_fields",
	}
	// CatalogItemsCreate answers 202 and leaves those items alone that there are already; how it says so
	// is not documented.
	CatalogItemsCreate = &Endpoint{
		Method: http.MethodPost, Path: "/catalogs/{catalog_name}/items", Permission: "catalogs.add_items",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolCatalogItems, Repeatable: true, Source: "braze-docs: post_create_catalog_items_bulk",
	}
	// CatalogItemsUpdate changes the fields that are named. Whether an $add of what is there already adds
	// it again is not documented, so it is not always repeatable.
	CatalogItemsUpdate = &Endpoint{
		Method: http.MethodPatch, Path: "/catalogs/{catalog_name}/items", Permission: "catalogs.update_items",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolCatalogItems, Source: "braze-docs: patch_catalog_items_bulk",
	}
	// CatalogItemsReplace creates the items that there are not.
	CatalogItemsReplace = &Endpoint{
		Method: http.MethodPut, Path: "/catalogs/{catalog_name}/items", Permission: "catalogs.replace_items",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolCatalogItems, Repeatable: true, Source: "braze-docs: put_update_catalog_items",
	}
	CatalogItemsDelete = &Endpoint{
		Method: http.MethodDelete, Path: "/catalogs/{catalog_name}/items", Permission: "catalogs.delete_items",
		MaxItems: mostUsers, MaxBody: MaxBody, Pool: PoolCatalogItems, Repeatable: true, Source: "braze-docs: delete_catalog_items_bulk",
	}
	// CatalogItemCreate makes one item at once, and refuses one that there is already.
	CatalogItemCreate = &Endpoint{
		Method: http.MethodPost, Path: "/catalogs/{catalog_name}/items/{item_id}", Permission: "catalogs.create_item",
		MaxItems: 1, MaxBody: MaxBody, Pool: PoolCatalogItem, Repeatable: true, Source: "braze-docs: post_create_catalog_item",
	}
)

// Endpoints are all of them.
func Endpoints() []*Endpoint {
	return []*Endpoint{
		UsersTrack, UsersTrackBulk, UsersTrackSync, UsersIdentify, UsersAliasNew, UsersMerge, UsersDelete,
		UsersExternalIDsRename, UsersExportIDs,
		CampaignsTriggerSend, CanvasTriggerSend, MessagesSend, TransactionalSend, SendsIDCreate,
		SubscriptionStatusSet, SubscriptionStatusSetV2, EmailStatus,
		CatalogsCreate, CatalogFieldsCreate, CatalogItemsCreate, CatalogItemsUpdate, CatalogItemsReplace, CatalogItemsDelete, CatalogItemCreate,
	}
}

package braze

import (
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
)

// Pool is a budget of requests that several endpoints draw from. All are counted per workspace, but for
// [PoolTrack] under the newer contracts, where it is the whole company's (braze-docs: api_limits).
type Pool struct {
	Name string // for configuration and metrics
	// Rate is the documented default. Braze raises it on request, so it is where configuration begins.
	Rate quota.Rate
	// Clock says that the window begins with the hour (the day) of the clock, and not with the first
	// request. Of windows of minutes and seconds the shape is not documented.
	Clock bool
	Doc   string // one line, naming the source
}

// The documented pools.
var (
	// PoolTrack is that of /users/track: 3,000 in 3 seconds for accounts priced by data points. Others
	// have an hourly limit and a burst limit that stand in their contracts only.
	PoolTrack = &Pool{"track", quota.Rate{Count: 3000, Per: 3 * time.Second}, false, "/users/track (braze-docs: post_user_track)"}
	// PoolTrackBulk is that of /users/track/bulk, and of most accounts.
	PoolTrackBulk = &Pool{"track_bulk", quota.Rate{Count: 50, Per: time.Second}, false, "/users/track/bulk (braze-docs: post_user_track_bulk)"}
	// PoolTrackSync is that of /users/track/sync.
	PoolTrackSync = &Pool{"track_sync", quota.Rate{Count: 500, Per: time.Minute}, false, "/users/track/sync (braze-docs: post_user_track_synchronous)"}
	// PoolGeneral is the one of every endpoint that has no other: sends to named recipients, transactional
	// sends, email states, and calls that others make to the workspace. Its hour begins with the clock's.
	PoolGeneral = &Pool{"general", quota.Rate{Count: 250_000, Per: time.Hour}, true, "all endpoints without a limit of their own, and sends that are no broadcast (braze-docs: api_limits)"}
	// PoolBroadcast is that of sends with broadcast set, in place of the general one. One audience may
	// besides be sent to no more than [MaxAudienceBroadcasts] times a minute.
	PoolBroadcast = &Pool{"broadcast", quota.Rate{Count: 250, Per: time.Minute}, false, "sends with broadcast set (braze-docs: api_limits)"}
	// PoolSendIDs is that of /sends/id/create. Whether its day is the clock's is not documented.
	PoolSendIDs = &Pool{"send_ids", quota.Rate{Count: 100, Per: 24 * time.Hour}, false, "/sends/id/create (braze-docs: post_create_send_ids)"}
	// PoolSubscription is shared by both editions of the subscription status.
	PoolSubscription = &Pool{"subscription", quota.Rate{Count: 5000, Per: time.Minute}, false, "setting subscription states, v1 and v2 together (braze-docs: post_update_user_subscription_group_status)"}
	// PoolUserLifecycle is shared by identifying, aliasing, merging and deleting.
	PoolUserLifecycle = &Pool{"user_lifecycle", quota.Rate{Count: 20_000, Per: time.Minute}, false, "/users/identify, alias/new, alias/update, merge and delete together (braze-docs: api_limits)"}
	// PoolRename is that of /users/external_ids/rename.
	PoolRename = &Pool{"rename", quota.Rate{Count: 1000, Per: time.Minute}, false, "/users/external_ids/rename (braze-docs: post_external_ids_rename)"}
	// PoolExport is that of /users/export/ids; customers of before 2024-08-22 have 2,500.
	PoolExport = &Pool{"export", quota.Rate{Count: 250, Per: time.Minute}, false, "/users/export/ids (braze-docs: post_users_identifier)"}
	// PoolCatalogs is shared by the synchronous calls that make, list and delete catalogs.
	PoolCatalogs = &Pool{"catalogs", quota.Rate{Count: 50, Per: time.Minute}, false, "synchronous catalog calls (braze-docs: api_limits)"}
	// PoolCatalogFields is shared by the asynchronous calls about fields and selections of catalogs.
	PoolCatalogFields = &Pool{"catalog_fields", quota.Rate{Count: 50, Per: time.Minute}, false, "asynchronous calls about catalogs' fields and selections (braze-docs: api_limits)"}
	// PoolCatalogItems is shared by the asynchronous calls about up to 50 items.
	PoolCatalogItems = &Pool{"catalog_items", quota.Rate{Count: 16_000, Per: time.Minute}, false, "asynchronous catalog item calls (braze-docs: api_limits)"}
	// PoolCatalogItem is shared by the synchronous calls about one item.
	PoolCatalogItem = &Pool{"catalog_item", quota.Rate{Count: 50, Per: time.Minute}, false, "synchronous catalog item calls (braze-docs: api_limits)"}
)

// MaxAudienceBroadcasts is how many broadcasts a minute may go to the same audience: the same campaign or
// Canvas, segment and filters (braze-docs: api_limits).
const MaxAudienceBroadcasts = 10

// Pools are all of them.
func Pools() []*Pool {
	return []*Pool{
		PoolTrack, PoolTrackBulk, PoolTrackSync, PoolGeneral, PoolBroadcast, PoolSendIDs, PoolSubscription,
		PoolUserLifecycle, PoolRename, PoolExport, PoolCatalogs, PoolCatalogFields, PoolCatalogItems, PoolCatalogItem,
	}
}

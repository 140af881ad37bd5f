package brazesender

import (
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

// line is where users wait whose next part travels in one kind of request: to one endpoint, about one
// campaign, with one priority. The lane's goroutine owns everything in it that changes.
type line struct {
	outlet   *outlet
	arrays   bool   // the requests have the three arrays of /users/track
	path     string // of the endpoint, with its braces filled in
	prefix   string // of a body without arrays, before its objects
	suffix   string
	most     int // objects in a request
	perUser  int // of them of one user
	bytes    int // of a body
	priority routes.Priority

	ready   fifo
	pending int // objects of ready users, at most
	known   bool
}

// outlet is one endpoint, and whether it lets us in.
type outlet struct {
	endpoint *braze.Endpoint
	pool     *pool
	gate     gate
	flights  int // requests under way
}

// pool is a budget that endpoints share.
type pool struct {
	name  string
	quota *quota.Quota
	// passed counts, by priority, the requests that went before somebody who could have gone as well.
	passed [priorities]int
	noted  [priorities]uint64 // when that was counted last, by the lane's passes
	spent  uint64             // the round in which the lane found it empty
}

// priorities is how many there are.
const priorities = 4

// rank orders priorities, the most urgent first.
func rank(p routes.Priority) int {
	switch p {
	case routes.Urgent:
		return 0
	case routes.Profile:
		return 2
	case routes.Backfill:
		return 3
	case routes.Live:
	}
	return 1
}

// reserve is how many requests may pass a less urgent one before it has its turn: each priority has
// at least a twentieth of the budget while it has something to send.
const reserve = 19

// lines are all there are, made when they are first asked for. It is safe for concurrent use.
type lines struct {
	track   [priorities]*line // by rank
	outlets map[*braze.Endpoint]*outlet
	pools   map[*braze.Pool]*pool

	mu     sync.Mutex
	others map[lineKey]*line
}

// lineKey is what requests have in common that may share one.
type lineKey struct {
	endpoint             *braze.Endpoint
	path, prefix, suffix string
	priority             routes.Priority
}

func newLines(c braze.Config, o Options) *lines {
	ls := &lines{
		outlets: map[*braze.Endpoint]*outlet{},
		pools:   map[*braze.Pool]*pool{},
		others:  map[lineKey]*line{},
	}
	rates := map[*braze.Pool]quota.Rate{
		braze.PoolTrack: c.Rate, braze.PoolTrackBulk: o.Rates.Bulk, braze.PoolGeneral: o.Rates.General,
		braze.PoolUserLifecycle: o.Rates.UserLifecycle, braze.PoolSubscription: o.Rates.Subscription,
	}
	for _, p := range braze.Pools() {
		rate, set := rates[p]
		if !set || rate.IsZero() && p != braze.PoolTrack {
			rate = p.Rate
		}
		q := quota.New(rate)
		if p.Clock {
			q = quota.NewClock(rate)
		}
		q.SetShare(time.Time{}, 0) // nothing is ours yet
		ls.pools[p] = &pool{name: p.Name, quota: q}
	}
	for _, e := range braze.Endpoints() {
		ls.outlets[e] = &outlet{endpoint: e, pool: ls.pools[e.Pool]}
	}
	for _, priority := range []routes.Priority{routes.Urgent, routes.Live, routes.Profile, routes.Backfill} {
		ln := &line{
			outlet: ls.outlets[braze.UsersTrack], arrays: true, path: braze.UsersTrack.Path, priority: priority,
			most: c.MaxObjects, perUser: c.MaxObjects, bytes: braze.MaxBody,
		}
		if c.LegacyArrays {
			ln.perUser = 3 * c.MaxObjects
		}
		if o.Bulk && priority == routes.Backfill {
			e := braze.UsersTrackBulk
			ln.outlet, ln.path, ln.most, ln.perUser, ln.bytes = ls.outlets[e], e.Path, e.MaxItems, braze.MaxBulkPerUser, e.MaxBody
		}
		ls.track[rank(priority)] = ln
	}
	return ls
}

// find returns the line of requests that begin and end with the same bytes. How many there are is bounded
// by what the routes name.
func (ls *lines) find(key lineKey) *line {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ln := ls.others[key]
	if ln == nil {
		e := key.endpoint
		ln = &line{
			outlet: ls.outlets[e], path: key.path, prefix: key.prefix, suffix: key.suffix,
			most: e.MaxItems, perUser: 1, bytes: e.MaxBody, priority: key.priority,
		}
		ls.others[key] = ln
	}
	return ln
}

// setShare tells every budget what part of it is ours from now on.
func (ls *lines) setShare(now time.Time, part float64) {
	for _, p := range ls.pools {
		p.quota.SetShare(now, part)
	}
}

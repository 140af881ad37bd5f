package brazefake

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync"
	"time"
)

// flights watches that no user is in two requests at the same time.
//
// A request is in flight from when it has been read until just before its answer is written: the
// client may send the user's next request the moment it has the answer, so releasing any later would
// accuse it wrongly. A client that has gone, killed or out of patience, may repeat at once as well,
// over a connection that is ready sooner than we learn of the end of the old one. So a user found in
// two requests is a suspicion at first:
//
//	the older request's client goes away     the suspicion is dropped
//	the older request is about to be answered, and its client is still there after grace   a violation
//	grace passes and the older request is still under way   a violation
type flights struct {
	violations *violations
	seed       maphash.Seed
	shards     [flightShards]flightShard
	open       pending // suspicions not yet settled
}

const (
	flightShards = 64
	grace        = time.Second // a machine under load may be that late in telling us that a client has gone
)

type flightShard struct {
	mu    sync.Mutex
	users map[string]*flight
}

// flight is one request under way.
type flight struct {
	number int64
	ctx    context.Context // done when the client has gone
	users  []string

	mu         sync.Mutex
	landed     bool
	suspicions []*suspicion
}

// suspicion is that of another request having the same user.
type suspicion struct {
	text  string
	timer *time.Timer
}

func (f *flights) init(v *violations) {
	f.violations = v
	f.open.init()
	f.seed = maphash.MakeSeed()
	for i := range f.shards {
		f.shards[i].users = map[string]*flight{}
	}
}

func (f *flights) shard(user string) *flightShard {
	return &f.shards[maphash.String(f.seed, user)%flightShards]
}

// take puts a request in the air.
func (f *flights) take(fl *flight) {
	for _, user := range fl.users {
		shard := f.shard(user)
		shard.mu.Lock()
		other := shard.users[user]
		shard.users[user] = fl
		shard.mu.Unlock()
		if other != nil && other != fl {
			f.suspect(other, fl, user)
		}
	}
}

// land takes a request out of the air, to be called right before its answer is written. It reports
// whether the client has gone.
func (f *flights) land(fl *flight) (gone bool) {
	for _, user := range fl.users {
		shard := f.shard(user)
		shard.mu.Lock()
		if shard.users[user] == fl {
			delete(shard.users, user)
		}
		shard.mu.Unlock()
	}
	fl.mu.Lock()
	fl.landed = true
	suspicions := fl.suspicions
	fl.suspicions = nil
	fl.mu.Unlock()
	if len(suspicions) > 0 {
		wait(fl.ctx, grace)
	}
	gone = fl.ctx.Err() != nil
	for _, s := range suspicions {
		if s.timer.Stop() {
			f.close(s, gone)
		}
	}
	return gone
}

// suspect notes that newcomer has a user who is still in the older request.
func (f *flights) suspect(older, newcomer *flight, user string) {
	older.mu.Lock()
	defer older.mu.Unlock()
	if older.landed || older.ctx.Err() != nil {
		return
	}
	f.open.add()
	s := &suspicion{text: fmt.Sprintf("user %q is in request %d while still in request %d", user, newcomer.number, older.number)}
	// Reading s.timer before it is set is impossible: land needs the lock that is held here.
	s.timer = time.AfterFunc(grace, func() { f.close(s, older.ctx.Err() != nil) })
	older.suspicions = append(older.suspicions, s)
}

func (f *flights) close(s *suspicion, gone bool) {
	if !gone {
		f.violations.add(s.text)
	}
	f.open.done()
}

// settle waits until every suspicion is dropped or confirmed.
func (f *flights) settle() { _ = f.open.wait(context.Background()) }

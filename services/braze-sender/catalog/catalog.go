// Package catalog keeps catalogs in Braze in step with collections of approved content: those that CONTENT_FILE
// marks catalog: true. A catalog then holds what content-cacher would show at that moment.
//
// One replica does it for a collection ([Keeper.Run]; which one is agreed on in a consumer group over the
// state's topic). A round (round.go) begins with what is known of Braze (state.go), says whose the catalog is
// from now on, reads content.items from its beginning, and follows it. What is to be there (item.go, row.go) is
// compared with what Braze has (book.go), and the differences go out in fifties (plan.go, send.go, land.go),
// an item never in two requests at once. When anything is not as it is thought to be, the round ends and
// another begins: all that is known stands on two topics.
//
// Braze answers 202 and does it later, without telling what became of an item, and there is no documented way
// to look. So what is known is what has been accepted, and an item of which no answer came is sent again.
package catalog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/content"
	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Options say what is kept in step, and by what means.
type Options struct {
	Service string // whose state it is
	Kafka   stream.Config
	Source  avro.Source
	Client  *braze.Client
	Letters *deadletter.Writer
	// Rules are those of the collections' file; of them those that are catalogs are kept.
	Rules []*content.Collection
	Rates Rates
	// Spacing keeps apart two requests about the same item: Braze may do them in either order.
	Spacing time.Duration
	Metrics prometheus.Registerer
	// Health is told why somebody has to act, and nil when nobody has to any more.
	Health func(error)
	Log    zerolog.Logger
}

// Rates are budgets of the workspace; those that are zero are the documented ones.
type Rates struct{ Catalogs, Fields, Items quota.Rate }

// Catalogs are the collections among rules that are kept as catalogs.
func Catalogs(rules []*content.Collection) []*content.Collection {
	return slices.DeleteFunc(slices.Clone(rules), func(c *content.Collection) bool { return !c.Catalog })
}

// Keeper keeps catalogs in step, sharing them with other replicas.
type Keeper struct {
	o       Options
	rules   []*content.Collection
	content string // topics, on the cluster
	state   string
	decoder *avro.ContentDecoder
	quotas  map[*braze.Pool]*quota.Quota
	metrics *metrics

	mu    sync.Mutex
	ours  []int32 // partitions of the state
	of    int32
	stop  context.CancelFunc // ends the work under way; nil when there is none
	done  chan struct{}
	keep  map[string]bool // collections whose records are needed although they are sent
	stuck map[string]error
}

// New asks nobody yet: Run does.
func New(o Options) *Keeper {
	k := &Keeper{
		o: o, rules: Catalogs(o.Rules), content: o.Kafka.Topic(schema.ContentItems), state: o.Kafka.Topic(schema.State(o.Service)),
		decoder: avro.NewContentDecoder(o.Source), quotas: map[*braze.Pool]*quota.Quota{}, metrics: newMetrics(o.Metrics),
		keep: map[string]bool{}, stuck: map[string]error{},
	}
	for pool, rate := range map[*braze.Pool]quota.Rate{
		braze.PoolCatalogs: o.Rates.Catalogs, braze.PoolCatalogFields: o.Rates.Fields, braze.PoolCatalogItems: o.Rates.Items,
	} {
		if rate.IsZero() {
			rate = pool.Rate
		}
		k.quotas[pool] = quota.New(rate)
		k.quotas[pool].SetShare(time.Time{}, 0)
	}
	return k
}

// Run keeps the catalogs in step that fall to this replica, until the context ends and what is under way is
// answered.
func (k *Keeper) Run(ctx context.Context) error {
	return k.run(ctx, func(ctx context.Context, assigned func([]int32, int32), revoked func([]int32)) error {
		return stream.Join(ctx, k.o.Kafka, stream.Membership{
			Group: k.o.Kafka.Group(k.o.Service + ".catalogs"), Topic: k.state, Log: k.o.Log, Assigned: assigned, Revoked: revoked,
		})
	})
}

// run keeps the catalogs of those partitions of the state in step that join says are ours, while it runs.
func (k *Keeper) run(ctx context.Context, join func(ctx context.Context, assigned func([]int32, int32), revoked func([]int32)) error) error {
	producer, err := stream.NewProducer(k.o.Kafka, stream.ProducerOptions{ByPartition: []string{k.state}})
	if err != nil {
		return err
	}
	defer producer.Close()
	defer k.change(ctx, producer, func() { k.ours = nil })
	assigned := func(partitions []int32, of int32) {
		k.change(ctx, producer, func() { k.ours, k.of = append(k.ours, partitions...), of })
	}
	revoked := func(partitions []int32) {
		k.change(ctx, producer, func() {
			k.ours = slices.DeleteFunc(k.ours, func(p int32) bool { return slices.Contains(partitions, p) })
		})
	}
	return join(ctx, assigned, revoked)
}

// change ends the work under way, has ours changed, and begins anew with what is ours then.
func (k *Keeper) change(ctx context.Context, producer *stream.Producer, f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.stop != nil {
		k.stop()
		<-k.done
		k.stop = nil
	}
	f()
	var rules []*content.Collection
	for _, rule := range k.rules {
		if k.of > 0 && slices.Contains(k.ours, stream.PartitionOf([]byte(rule.Name), k.of)) {
			rules = append(rules, rule)
		}
	}
	k.metrics.kept.Store(int64(len(rules)))
	k.o.Log.Debug().Int("collections", len(rules)).Msg("collections kept in step here")
	for _, q := range k.quotas {
		q.SetShare(time.Now(), float64(len(rules))/float64(len(k.rules)))
	}
	if len(rules) == 0 || ctx.Err() != nil {
		return
	}
	ctx, k.stop = context.WithCancel(ctx)
	k.done = make(chan struct{})
	go func(done chan struct{}, of int32) {
		defer close(done)
		k.work(ctx, producer, rules, of)
	}(k.done, k.of)
}

// work has one round follow the other.
func (k *Keeper) work(ctx context.Context, producer *stream.Producer, rules []*content.Collection, of int32) {
	lost := map[string]bool{}
	defer k.tell("", nil)
	for attempt := 0; ; attempt++ {
		began := time.Now()
		r := &round{
			k: k, of: of, owner: rand.Text(), lost: lost, producer: producer,
			courier: &courier{k.o.Client, k.quotas, producer, k.o.Letters, k.metrics, k.o.Log},
			books:   map[string]*book{}, scribes: map[string]scribe{},
		}
		err := r.run(ctx, rules)
		if ctx.Err() != nil {
			return
		}
		lost = map[string]bool{}
		var need *needed
		var gone *missing
		switch {
		case errors.As(err, &need):
			k.keep[need.catalog] = true
		case errors.As(err, &gone):
			lost[gone.catalog] = true
		}
		if time.Since(began) > time.Minute {
			attempt = 0
		}
		k.o.Log.Warn().Err(err).Msg("what catalogs are to hold is read once more")
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff.Next(attempt, 0)):
		}
	}
}

// needed and missing are why a round ends: records are needed that were let go, or a catalog is not there
// any more.
type (
	needed  struct{ catalog string }
	missing struct{ catalog string }
)

func (n *needed) Error() string  { return fmt.Sprintf("catalog %s: %v", n.catalog, errBodies) }
func (m *missing) Error() string { return "catalog " + m.catalog + " has been deleted in Braze" }

// tell says of a catalog whether somebody has to act; of all of them nobody has to, where it is empty.
func (k *Keeper) tell(catalog string, err error) {
	if err == nil && catalog == "" {
		clear(k.stuck)
	} else if err == nil {
		if k.stuck[catalog] == nil {
			return
		}
		delete(k.stuck, catalog)
	} else {
		if is := k.stuck[catalog]; is != nil && is.Error() == err.Error() {
			return
		}
		k.stuck[catalog] = err
		k.o.Log.Error().Err(err).Msg("a catalog is not kept in step")
	}
	var all error
	for _, rule := range k.rules {
		all = errors.Join(all, k.stuck[rule.Name])
	}
	k.metrics.stopped.Store(0)
	if all != nil {
		k.metrics.stopped.Store(1)
	}
	k.o.Health(all)
}

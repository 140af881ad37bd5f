package bench

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/topics"
)

// syncFields is how many fields a profile has.
const syncFields = 10

// syncload is a first sync of users, and updates after it: each of them the whole profile, as a CRM
// pushes it, with one field changed in every tenth.
type syncload struct {
	users, count int
	changed      int     // values that differed, of all updates given out
	visits       []int32 // of each user, as last said
	said         int
	random       *rand.Rand
}

func newSyncload(users, count int) *syncload {
	return &syncload{users: users, count: count, visits: make([]int32, users), random: rand.New(rand.NewPCG(1, 2))}
}

// first is one record of each user, in no order.
func (w *syncload) first(yield func(*event.Profile) bool) {
	for _, u := range w.random.Perm(w.users) {
		if !yield(w.profile(u)) {
			return
		}
	}
}

// updates are records of users drawn by lot.
func (w *syncload) updates(yield func(*event.Profile) bool) {
	for i := range w.count {
		u := w.random.IntN(w.users)
		if i%10 == 0 {
			w.visits[u]++
			w.changed++
		}
		if !yield(w.profile(u)) {
			return
		}
	}
}

// profile is what is said of a user now. Every record is newer than the one before.
func (w *syncload) profile(u int) *event.Profile {
	w.said++
	at := time.UnixMilli(1_760_000_000_000 + int64(w.said))
	return &event.Profile{
		ID: "bench-" + strconv.Itoa(w.said), User: event.User{ExternalID: "user-" + strconv.Itoa(u)},
		Source: "crm", OccurredAt: at, ReceivedAt: at,
		Set: fmt.Appendf(nil, `{"first_name":"Aloisia","last_name":"Name %d","email":"user-%d@example.org","country":"AT","tier":"gold","visits":%d,`+
			`"newsletter":true,"lifetime_value":%d.56,"last_store":"Wien Mitte","member_since":"2019-04-%02d"}`, u, u, w.visits[u], u%5000, 1+u%28),
	}
}

// fillProfiles puts records on customer.profiles.
func (s *stage) fillProfiles(tb testing.TB, prefix string, profiles iter.Seq[*event.Profile]) {
	tb.Helper()
	kafka := s.kafka(prefix)
	reg, err := registry.New(registry.Config{URL: s.Registry})
	if err != nil {
		tb.Fatal(err)
	}
	defer reg.Close()
	ids, err := topics.Prepare(tb.Context(), kafka, reg, schema.CustomerProfiles)
	if err != nil {
		tb.Fatal(err)
	}
	p, err := stream.NewProducer(kafka, stream.ProducerOptions{Linger: 10 * time.Millisecond})
	if err != nil {
		tb.Fatal(err)
	}
	defer p.Close()
	topic := kafka.Topic(schema.CustomerProfiles)
	var failed atomic.Pointer[error]
	for profile := range profiles {
		r := &stream.Record{Topic: topic, Key: []byte(profile.User.Key()), Value: avro.AppendProfile(nil, ids[schema.CustomerProfiles], profile)}
		p.Produce(tb.Context(), r, func(_ *stream.Record, err error) {
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	if err := p.Flush(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	if err := failed.Load(); err != nil {
		tb.Fatal(*err)
	}
}

// kafka is the configuration of whoever fills topics or reads them beside the subject.
func (s *stage) kafka(prefix string) stream.Config { return kafkaOf(s.Kafka, prefix) }

func kafkaOf(brokers, prefix string) stream.Config {
	return stream.Config{
		Brokers: strings.Split(brokers, ","), TopicPrefix: prefix, Compression: "lz4",
		CreateTopics: true, Partitions: syncPartitions, ReplicationFactor: -1,
	}
}

const syncPartitions = 12

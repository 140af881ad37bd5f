package currentsfanout_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/ledger"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// BenchmarkFanout hands a topic of 100,000 events to sinks that take everything at once, beside consumers that do nothing
// but settle: what the fan-out adds. CPU is the whole process's, the embedded broker's work included.
func BenchmarkFanout(b *testing.B) {
	const events = 100_000
	prepare := func(b *testing.B, sinks int, options string) *scene {
		var names []string
		var file strings.Builder
		file.WriteString("sinks:\n")
		for i := range sinks {
			names = append(names, fmt.Sprint("s", i))
			fmt.Fprintf(&file, "  - {name: s%d, kind: quiet, %s}\n", i, options)
		}
		s := newScene(b, file.String(), names...)
		filler := strings.Repeat("y", 500)
		for batch := range events / 1000 {
			var records []*stream.Record
			for i := range 1000 {
				n := batch*1000 + i
				records = append(records, s.engagement(fmt.Sprintf("%08x-0000-4000-8000-%012x", n, n), fmt.Sprint("u", n%5000, filler[:n%7]), "users.messages.email.Click"))
			}
			if err := s.producer.ProduceAll(context.Background(), records...); err != nil {
				b.Fatal(err)
			}
		}
		return s
	}
	report := func(b *testing.B, sinks int, run func()) {
		before, began := cpu(), time.Now()
		run()
		b.ReportMetric(float64(cpu()-before)/float64(events*sinks), "cpu-ns/event")
		b.ReportMetric(float64(events*sinks)/time.Since(began).Seconds(), "events/s")
		b.ReportMetric(0, "ns/op")
	}
	for _, sinks := range []int{1, 4} {
		b.Run(fmt.Sprintf("bare/%d", sinks), func(b *testing.B) {
			s := prepare(b, sinks, "")
			report(b, sinks, func() {
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var n atomic.Int64
				for i := range sinks {
					k, err := stream.NewConsumer(s.config.Kafka, stream.ConsumerOptions{
						Group: s.config.Kafka.Group(fmt.Sprint("bare", i)), Topics: []string{s.config.Kafka.Topic(schema.BrazeEngagements)}, Log: zerolog.Nop(),
					}, settleOnly{&n})
					if err != nil {
						b.Fatal(err)
					}
					go k.Run(ctx)
				}
				for n.Load() < int64(events*sinks) {
					<-time.After(5 * time.Millisecond)
				}
			})
		})
		for name, options := range map[string]string{"all": "batch: {events: 500, linger: 20ms}", "filtered": "filter: {types: [\"users.messages.*\"]}, redact: [{fields: [email_address], how: hash}], batch: {linger: 20ms}"} {
			b.Run(fmt.Sprintf("%s/%d", name, sinks), func(b *testing.B) {
				s := prepare(b, sinks, options)
				report(b, sinks, func() {
					r := s.start()
					for s.quiet.Load() < int64(events*sinks) {
						<-time.After(5 * time.Millisecond)
					}
					r.stop()
				})
			})
		}
	}
}

type settleOnly struct{ n *atomic.Int64 }

func (settleOnly) Assigned(context.Context, []*stream.Partition) error { return nil }
func (settleOnly) Revoked(context.Context, []*stream.Partition)        {}

func (s settleOnly) Take(_ context.Context, lent []stream.Delivery) error {
	for _, d := range lent {
		d.Settle(ledger.NoReceipt)
	}
	s.n.Add(int64(len(lent)))
	return nil
}

// quiet takes everything and remembers only how much.
type quiet struct{ n *atomic.Int64 }

func (q quiet) Write(_ context.Context, batch []*sink.Event) sink.Answer {
	q.n.Add(int64(len(batch)))
	return sink.Delivered()
}
func (quiet) Close() error { return nil }

// cpu is what the process has used so far, in nanoseconds.
func cpu() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return syscall.TimevalToNsec(u.Utime) + syscall.TimevalToNsec(u.Stime)
}

package pgsink

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/sluicehq/sluice/pkg/currents/sample"
	"github.com/sluicehq/sluice/pkg/pgtest"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// BenchmarkWrite stores batches of new events. Beside it stand COPYs of the same bytes straight into a table of the same
// form, with and without its indexes: the least that PostgreSQL can do with them, and without a promise against doubles.
func BenchmarkWrite(b *testing.B) {
	const rows = 5000 // what the fan-out hands over at most
	for _, c := range []struct {
		name   string
		layout func(*Options)
		types  []string
	}{
		{"one table", func(*Options) {}, []string{click, purchase, "users.messages.email.Send", "users.messages.pushnotification.Open"}},
		{"a table per type, one type in a batch", perType, []string{click}},
		{"a table per type, eight types in a batch", perType, []string{
			click, purchase, "users.messages.email.Send", "users.messages.pushnotification.Open", "users.messages.email.Open",
			"users.messages.email.Delivery", "users.messages.pushnotification.Send", "users.behaviors.CustomEvent",
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := openSink(b, pgtest.Open(b), c.layout)
			fresh := generator(b, c.types)
			wantDelivered(b, s, fresh(rows)...)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				batch := fresh(rows)
				b.StartTimer()
				wantDelivered(b, s, batch...)
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	for _, c := range []struct{ name, table string }{
		{"bare COPY, with key and indexes", "(LIKE braze.engagements INCLUDING INDEXES)"},
		{"bare COPY, without", "(LIKE braze.engagements)"},
	} {
		b.Run(c.name, func(b *testing.B) {
			dsn := pgtest.Open(b)
			s := openSink(b, dsn)
			fresh := generator(b, []string{click, purchase, "users.messages.email.Send", "users.messages.pushnotification.Open"})
			wantDelivered(b, s, fresh(rows)...)
			openDB(b, dsn).exec("CREATE TABLE bare " + c.table)
			conn, err := pgx.Connect(b.Context(), dsn)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close(b.Context())
			p := s.known(s.single)
			r := newRow()
			b.ResetTimer()
			for range b.N {
				b.StopTimer()
				copied, err := io.ReadAll(r.stream(p, fresh(rows), indices(rows)))
				if err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
				if _, err := conn.PgConn().CopyFrom(b.Context(), bytes.NewReader(copied), "COPY bare ("+list(p.columns)+") FROM STDIN (FORMAT binary)"); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(rows*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkRows makes the bytes alone, without a server.
func BenchmarkRows(b *testing.B) {
	for name, t := range map[string]*target{"one table": singleTarget("engagements"), "a table per type": newTarget("", click)} {
		b.Run(name, func(b *testing.B) {
			p := newPlan("t", t, everything(t))
			batch := generator(b, []string{click})(500)
			r, all := newRow(), indices(len(batch))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := io.Copy(io.Discard, r.stream(p, batch, all)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/500, "ns/row")
		})
	}
}

func indices(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// generator makes batches of events that were never there before.
func generator(b *testing.B, types []string) func(n int) []*sink.Event {
	rng := rand.New(rand.NewPCG(1, 2))
	made := 0
	return func(n int) []*sink.Event {
		batch := make([]*sink.Event, n)
		for i := range batch {
			batch[i] = engagement(b, sample.Event(rng, types[made%len(types)], made))
			made++
		}
		return batch
	}
}

// everything is a table that has all columns.
func everything(t *target) map[string]bool {
	have := map[string]bool{}
	for i := range t.columns {
		have[t.columns[i].name] = true
	}
	return have
}

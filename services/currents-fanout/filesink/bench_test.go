//go:build unix

package filesink

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

const benchRows = 8192

func benchEvents(b *testing.B, typeName string) (events []*sink.Event, size int64) {
	for n := range benchRows {
		e := sampled(b, typeName, n)
		events = append(events, e)
		size += int64(len(e.JSON))
	}
	return events, size
}

// BenchmarkParquet says how many bytes of JSON a second become Parquet, and beside it what the library
// does with the same columns when the rows are there already and no JSON is read.
func BenchmarkParquet(b *testing.B) {
	for _, typeName := range []string{click, purchase} {
		for _, compression := range []string{compressZstd, compressSnappy, compressNone} {
			events, size := benchEvents(b, typeName)
			t, err := tablesForTest(b).of(typeName)
			if err != nil {
				b.Fatal(err)
			}
			name := typeName + "/" + compression
			b.Run(name+"/ours", func(b *testing.B) {
				b.ReportAllocs()
				perCore := cores(b, size)
				defer perCore()
				f, r := &parquetFile{codec: parquetCodec(compression), group: 100_000}, newRow()
				for b.Loop() {
					encodeParquet(b, f, r, t, events, io.Discard)
				}
			})
			b.Run(name+"/library columns", func(b *testing.B) {
				perCore := cores(b, size)
				defer perCore()
				columns := prebuilt(b, t, events)
				for b.Loop() {
					w := parquet.NewGenericWriter[any](io.Discard, writerOptions(t, parquetCodec(compression))...)
					for i, c := range w.ColumnWriters() {
						for _, part := range columns[i] {
							if _, err := c.WriteRowValues(part); err != nil {
								b.Fatal(err)
							}
						}
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(name+"/library rows", func(b *testing.B) {
				perCore := cores(b, size)
				defer perCore()
				rows := prebuiltRows(b, t, events)
				for b.Loop() {
					w := parquet.NewGenericWriter[any](io.Discard, writerOptions(t, parquetCodec(compression))...)
					if _, err := w.WriteRows(rows); err != nil {
						b.Fatal(err)
					}
					if err := w.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.Run(name+"/JSON alone", func(b *testing.B) {
				b.ReportAllocs()
				perCore := cores(b, size)
				defer perCore()
				r := newRow()
				r.begin(t)
				for b.Loop() {
					for _, e := range events {
						r.forget()
						if err := r.read(e); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
			var out bytes.Buffer
			encodeParquet(b, &parquetFile{codec: parquetCodec(compression), group: 100_000}, newRow(), t, events, &out)
			b.Logf("%s: %d bytes an event, %d columns, %.0f %% of the JSON", name, size/benchRows, len(t.columns), 100*float64(out.Len())/float64(size))
		}
	}
}

// BenchmarkSmallFiles is what a file costs that has a few rows only, as in a stretch of many types.
func BenchmarkSmallFiles(b *testing.B) {
	for _, format := range []string{formatParquet, formatAvro} {
		o := Options{Format: format}.withDefaults()
		enc, err := newEncoder(&o)
		if err != nil {
			b.Fatal(err)
		}
		var events []*sink.Event
		p := piece{path: "x", kind: click}
		for n := range 10 {
			events, p.events = append(events, sampled(b, click, n)), append(p.events, n)
		}
		if p.table, err = tablesForTest(b).of(click); err != nil {
			b.Fatal(err)
		}
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := enc.encode(&p, events); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAvro is BenchmarkParquet's for the other format; it has no library's limit beside it, since
// the rows are encoded here.
func BenchmarkAvro(b *testing.B) {
	for _, compression := range []string{compressZstd, compressSnappy, compressNone} {
		events, size := benchEvents(b, click)
		o := Options{Format: formatAvro, Compression: compression}.withDefaults()
		enc, err := newEncoder(&o)
		if err != nil {
			b.Fatal(err)
		}
		p := piece{path: "x", kind: click}
		if p.table, err = tablesForTest(b).of(click); err != nil {
			b.Fatal(err)
		}
		for n := range events {
			p.events = append(p.events, n)
		}
		b.Run(compression, func(b *testing.B) {
			b.ReportAllocs()
			stop := cores(b, size)
			defer stop()
			for b.Loop() {
				if _, err := enc.encode(&p, events); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// cores reports bytes by the processor's time, which others on the machine do not change much.
func cores(b *testing.B, size int64) (stop func()) {
	b.SetBytes(size)
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	from := used()
	return func() {
		b.ReportMetric(float64(size)*float64(b.N)/1e6/(used()-from).Seconds(), "MB/core-s")
	}
}

func encodeParquet(b testing.TB, f *parquetFile, r *row, t *table, events []*sink.Event, out io.Writer) {
	r.begin(t)
	f.begin(out, t)
	for _, e := range events {
		if err := r.read(e); err != nil {
			b.Fatal(err)
		}
		if f.add(r) {
			if err := f.flush(); err != nil {
				b.Fatal(err)
			}
			r.forget()
		}
	}
	if err := f.end(); err != nil {
		b.Fatal(err)
	}
}

// prebuilt is the values of events by column, in parts as the sink gives them to the library.
func prebuilt(b testing.TB, t *table, events []*sink.Event) [][][]parquet.Value {
	columns := make([][][]parquet.Value, len(t.columns))
	for len(events) > 0 {
		n := min(len(events), rowsAtOnce)
		part := make([][]parquet.Value, len(t.columns))
		for _, e := range events[:n] {
			r := newRow()
			r.begin(t)
			if err := r.read(e); err != nil {
				b.Fatal(err)
			}
			for i := range t.columns {
				part[i] = appendValue(part[i], &t.columns[i], i, &r.cells[i], r.elements)
			}
		}
		for i := range part {
			columns[i] = append(columns[i], part[i])
		}
		events = events[n:]
	}
	return columns
}

func prebuiltRows(b testing.TB, t *table, events []*sink.Event) (rows []parquet.Row) {
	for _, e := range events {
		r := newRow()
		r.begin(t)
		if err := r.read(e); err != nil {
			b.Fatal(err)
		}
		var row parquet.Row
		for i := range t.columns {
			row = appendValue(row, &t.columns[i], i, &r.cells[i], r.elements)
		}
		rows = append(rows, row)
	}
	return rows
}

func tablesForTest(t testing.TB) *tables {
	t.Helper()
	ts, err := newTables(typed)
	if err != nil {
		t.Fatal(err)
	}
	return ts
}

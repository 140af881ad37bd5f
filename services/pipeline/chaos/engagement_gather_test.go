package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/parquet-go/parquet-go"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// gather reads what stands in the topics, in the files and in the database.
func (w *wayBack) gather(ctx context.Context, r *reports) error {
	decoder := avro.NewEngagementDecoder(latest(schema.BrazeEngagements))
	err := stream.Read(ctx, w.kafka, stream.Range{Topic: w.braze.topic}, func(rec *stream.Record) error {
		var e event.Engagement
		if _, err := decoder.Decode(ctx, rec.Value, &e); err != nil {
			return fmt.Errorf("record %d/%d: %w", rec.Partition, rec.Offset, err)
		}
		n, err := numberOf(e.ID)
		r.records = append(r.records, standing{n, string(rec.Key)})
		return err
	})
	if err != nil {
		return err
	}
	if err := stream.Read(ctx, w.kafka, stream.Range{Topic: w.kafka.Topic(schema.DeadLetters(Fanout))}, func(*stream.Record) error {
		r.letters++
		return nil
	}); err != nil {
		return err
	}
	for _, name := range []string{healthySink, slowSink, failingSink, absentSink} {
		e := w.ends[name]
		e.mu.Lock()
		r.ends = append(r.ends, &e.got)
		e.mu.Unlock()
	}
	r.harm = make([]harm, len(w.crew.numbers)+1)
	for name, n := range w.crew.numbers {
		r.harm[n] = w.harm[name]
	}
	r.unrest = w.unrest
	r.posted = w.braze.posted
	files, err := readLake(w.lake)
	if err != nil {
		return err
	}
	tables, err := readTables(ctx, w.dsn)
	r.stores = append(r.stores, files, tables)
	return err
}

// readLake reads every file there is, as somebody does who knows nothing but how they end.
func readLake(folder string) (store, error) {
	s := store{name: filesSink}
	files := 0
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".parquet") {
			return err
		}
		files++
		if err := readFile(path, &s.events); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return nil
	})
	s.says = fmt.Sprintf("%d files", files)
	return s, err
}

func readFile(path string, events *[]int32) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	file, err := parquet.OpenFile(f, info.Size())
	if err != nil {
		return err
	}
	id, found := file.Schema().Lookup("event_id")
	if !found {
		return errors.New("it has no column event_id")
	}
	for _, group := range file.RowGroups() {
		pages := group.ColumnChunks()[id.ColumnIndex].Pages()
		for {
			page, err := pages.ReadPage()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			values := make([]parquet.Value, page.NumValues())
			n, err := page.Values().ReadValues(values)
			if err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			for _, v := range values[:n] {
				number, err := numberOf(string(v.ByteArray()))
				if err != nil {
					return err
				}
				*events = append(*events, number)
			}
			parquet.Release(page)
		}
		if err := pages.Close(); err != nil {
			return err
		}
	}
	return nil
}

// readTables asks the database: how many rows it has, how many ids, and which.
func readTables(ctx context.Context, dsn string) (store, error) {
	s := store{name: postgresSink}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return s, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, "SELECT table_name::text FROM information_schema.columns WHERE table_schema = 'braze' AND column_name = 'event_id' AND table_name <> 'actions'")
	if err != nil {
		return s, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return s, err
	}
	var selects []string
	for _, t := range tables {
		selects = append(selects, "SELECT event_id FROM "+pgx.Identifier{"braze", t}.Sanitize())
	}
	all := strings.Join(selects, " UNION ALL ")
	var count, distinct int
	if err := conn.QueryRow(ctx, "SELECT count(*), count(DISTINCT event_id) FROM ("+all+") AS events").Scan(&count, &distinct); err != nil {
		return s, err
	}
	s.says = fmt.Sprintf("count(*) %d, count(DISTINCT event_id) %d in %d tables", count, distinct, len(tables))
	rows, err = conn.Query(ctx, all)
	if err != nil {
		return s, err
	}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error {
		n, err := numberOf(id)
		s.events = append(s.events, n)
		return err
	})
	return s, err
}

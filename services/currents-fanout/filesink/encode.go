package filesink

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// encoder makes one file after another, in memory that it uses again. It is not for two goroutines.
type encoder struct {
	row     *row
	parquet *parquetFile // one of the two
	avro    *avroFile
}

func newEncoder(o *Options) (*encoder, error) {
	e := &encoder{row: newRow()}
	if o.Format == formatAvro {
		codec, err := avroCodec(o.Compression)
		e.avro = &avroFile{codec: codec}
		return e, err
	}
	e.parquet = &parquetFile{codec: parquetCodec(o.Compression), group: o.RowGroupRows}
	return e, nil
}

// encoded is a file that is to be written.
type encoded struct {
	file    manifestFile
	data    []byte
	refused map[int]error // events that can stand in no file, by index
	misfits int
}

// encode makes a piece's file. Of the bytes nothing depends on anything but the events: not the time, not
// chance, not how often it was tried.
func (e *encoder) encode(p *piece, events []*sink.Event) (encoded, error) {
	var out bytes.Buffer
	done := encoded{}
	e.row.begin(p.table)
	if e.avro != nil {
		sum := sha256.Sum256([]byte(p.path))
		if err := e.avro.begin(&out, p.table, [16]byte(sum[:16])); err != nil {
			return done, err
		}
	} else {
		e.parquet.begin(&out, p.table)
	}
	var rows int64
	for _, i := range p.events {
		if err := e.row.read(events[i]); err != nil {
			if done.refused == nil {
				done.refused = map[int]error{}
			}
			done.refused[i] = err
			continue
		}
		rows++
		if err := e.add(); err != nil {
			return done, fmt.Errorf("encoding %s: %w", p.path, err)
		}
	}
	end := e.endParquet
	if e.avro != nil {
		end = e.avro.end
	}
	if err := end(); err != nil {
		return done, fmt.Errorf("encoding %s: %w", p.path, err)
	}
	sum := sha256.Sum256(out.Bytes())
	done.data, done.misfits = out.Bytes(), e.row.misfits
	done.file = manifestFile{
		Path: p.path, EventType: p.kind, Date: p.date, Rows: rows, Bytes: int64(out.Len()), SHA256: hex.EncodeToString(sum[:]),
	}
	return done, nil
}

func (e *encoder) endParquet() error { return e.parquet.end() }

func (e *encoder) add() error {
	if e.avro != nil {
		defer e.row.forget()
		return e.avro.add(e.row)
	}
	if !e.parquet.add(e.row) {
		return nil
	}
	defer e.row.forget()
	return e.parquet.flush()
}

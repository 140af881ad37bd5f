package filesink

import (
	"sync"

	"github.com/parquet-go/parquet-go"
	"github.com/twmb/avro"
)

// The two objects of an event with fields, as an index of table.fields.
const (
	inUser = iota
	inProperties
)

// table is the columns of the files of one type of event. It is made once and never changed.
type table struct {
	name     string // of the record in an Avro file: letters, digits and underscores
	columns  []column
	fields   [2]map[string]int // the columns of what stands in the JSON, by its name there
	user     int               // index of user_id, and so on
	occurred int
	received int
	json     int // -1 where there is none

	parquet *parquet.Schema
	avro    *avro.Schema
}

// tables is a table for each type of the catalogue, and one each for what is not in it and for actions.
type tables struct {
	catalogue func(name string) ([]field, bool)
	mu        sync.Mutex
	known     map[string]*table
	unknown   *table
	action    *table
}

func newTables(catalogue func(name string) ([]field, bool)) (ts *tables, err error) {
	ts = &tables{catalogue: catalogue, known: map[string]*table{}}
	if ts.unknown, err = newTable("Engagement", envelope, nil, true); err != nil {
		return nil, err
	}
	if ts.action, err = newTable("Action", actionColumns, nil, false); err != nil {
		return nil, err
	}
	return ts, nil
}

// of is the table for a type of engagement.
func (ts *tables) of(name string) (*table, error) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t := ts.known[name]; t != nil {
		return t, nil
	}
	fields, ok := ts.catalogue(name)
	if !ok { // and none is remembered: there is no end to them
		return ts.unknown, nil
	}
	t, err := newTable(recordName(name), envelope, fields, true)
	if err != nil {
		return nil, err
	}
	ts.known[name] = t
	return t, nil
}

// recordName is a type's name with underscores for dots, for Avro's sake.
func recordName(name string) string {
	b := []byte(name)
	for i, c := range b {
		if !isLetter(c) && !isDigit(c) {
			b[i] = '_'
		}
	}
	return string(b)
}

func newTable(name string, leading []column, fields []field, withJSON bool) (t *table, err error) {
	t = &table{name: name, json: -1}
	t.columns = append(t.columns, leading...)
	for in := range t.fields {
		t.fields[in] = map[string]int{}
	}
	for _, f := range fields {
		t.fields[f.in][f.source] = len(t.columns)
		t.columns = append(t.columns, f.column)
	}
	if withJSON {
		t.json = len(t.columns)
		t.columns = append(t.columns, column{name: eventJSON, kind: document, required: true, distinct: true})
	}
	for i, c := range t.columns {
		switch c.name {
		case userID:
			t.user = i
		case occurredAt:
			t.occurred = i
		case receivedAt:
			t.received = i
		}
	}
	t.parquet = parquetSchema(t)
	if t.avro, err = avroSchema(t); err != nil {
		return nil, err
	}
	return t, nil
}

package salesforce

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// emptied is how CSV says that a field is to be empty: a cell without anything leaves it as it is (salesforce-docs:
// datafiles_prepare_csv).
const emptied = "#N/A"

// appendCSV writes rows with one column for every field that any of them has.
func appendCSV(dst []byte, rows []*target.Row, field string, value func(*target.Row) string) []byte {
	cells := make([]map[string]string, len(rows))
	seen := map[string]bool{}
	for i, row := range rows {
		cells[i] = columns(row.Fields)
		for column := range cells[i] {
			seen[column] = true
		}
	}
	header := make([]string, 0, len(seen))
	for column := range seen {
		header = append(header, column)
	}
	slices.Sort(header)
	out := bytes.NewBuffer(dst)
	w := csv.NewWriter(out)
	line := append([]string{field}, header...)
	_ = w.Write(line) // the buffer never fails
	for i, row := range rows {
		line = append(line[:0], value(row))
		for _, column := range header {
			line = append(line, cells[i][column])
		}
		_ = w.Write(line)
	}
	w.Flush()
	return out.Bytes()
}

// columns are a row's cells. A parent that is named by its external id has a column of its own form:
// {"Account": {"Number__c": "A-1"}} is Account.Number__c, and with a type, where several are possible, Contact:Who.Key__c.
func columns(fields jsontext.Value) map[string]string {
	var all map[string]jsontext.Value
	if err := json.Unmarshal(fields, &all); err != nil {
		return nil // checked before: there are no fields
	}
	cells := make(map[string]string, len(all))
	for field, value := range all {
		if value.Kind() != '{' {
			cells[field], _ = cell(value)
			continue
		}
		if column, text, ok := parent(field, value); ok {
			cells[column] = text
		}
	}
	return cells
}

func cell(value jsontext.Value) (string, bool) {
	switch value.Kind() {
	case 'n':
		return emptied, true
	case '"':
		text, err := jsontext.AppendUnquote(nil, value)
		switch {
		case err != nil:
			return "", false
		case len(text) == 0:
			return emptied, true
		}
		// A text that is the mark itself cannot be said.
		return string(text), string(text) != emptied
	case 't', 'f', '0':
		return string(value), true
	}
	return "", false
}

func parent(field string, value jsontext.Value) (column, text string, ok bool) {
	var all map[string]jsontext.Value
	if err := json.Unmarshal(value, &all); err != nil {
		return "", "", false
	}
	column = field
	if attributes, typed := all["attributes"]; typed {
		var a struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(attributes, &a); err != nil || !name(a.Type) {
			return "", "", false
		}
		column = a.Type + ":" + field
		delete(all, "attributes")
	}
	if len(all) != 1 {
		return "", "", false
	}
	for key, v := range all {
		if text, ok = cell(v); !ok || text == emptied || !name(key) {
			return "", "", false
		}
		column += "." + key
	}
	return column, text, true
}

// flat reports whether all of a row's fields can be said in CSV.
func flat(fields jsontext.Value) bool {
	if len(fields) == 0 {
		return true
	}
	var all map[string]jsontext.Value
	if err := json.Unmarshal(fields, &all); err != nil {
		return false
	}
	for field, value := range all {
		ok := false
		if value.Kind() == '{' {
			_, _, ok = parent(field, value)
		} else {
			_, ok = cell(value)
		}
		if !ok {
			return false
		}
	}
	return true
}

// csvLine is a line of a job's results.
type csvLine struct{ id, fault, key string }

// err reads sf__Error: "STRING_TOO_LONG:Title: data value too large: …:Title --", the code before the first colon and
// the fields behind the last.
func (l csvLine) err() rowError {
	code, message, _ := strings.Cut(l.fault, ":")
	message = strings.TrimSuffix(strings.TrimSpace(message), "--")
	return rowError{code: code, message: strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(message), ":"))}
}

// readCSV calls f for every line of results. An answer without anything in it, as an empty list may be, is one
// without lines.
func readCSV(body []byte, field string, f func(csvLine)) error {
	in := csv.NewReader(bytes.NewReader(body))
	in.ReuseRecord = true
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading a job's results: %w", err)
	}
	id, fault, key := -1, -1, -1
	for i, column := range header {
		switch {
		case column == "sf__Id":
			id = i
		case column == "sf__Error":
			fault = i
		case strings.EqualFold(column, field):
			key = i
		}
	}
	if id < 0 || key < 0 {
		return errors.New("reading a job's results: no columns sf__Id and " + field)
	}
	for {
		line, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a job's results: %w", err)
		}
		l := csvLine{id: line[id], key: line[key]}
		if fault >= 0 {
			l.fault = line[fault]
		}
		f(l)
	}
}

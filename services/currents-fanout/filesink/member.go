package filesink

import (
	"bytes"
	"fmt"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// members walks through an event as Braze sent it, and takes what has a column.
func (r *row) members(js []byte) error {
	r.src = *bytes.NewBuffer(js)
	r.dec.Reset(&r.src, jsontext.AllowDuplicateNames(true))
	if k := r.dec.PeekKind(); k != '{' {
		return fmt.Errorf("reading an event: it begins with %s and not as an object", k)
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	for r.dec.PeekKind() == '"' {
		name, err := r.dec.ReadValue()
		if err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
		switch in := objectOf(name); {
		case in >= 0 && r.dec.PeekKind() == '{':
			err = r.object(js, in)
		default:
			err = r.dec.SkipValue()
		}
		if err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return fmt.Errorf("reading an event: %w", err)
	}
	if len(bytes.TrimSpace(js[r.dec.InputOffset():])) != 0 {
		return fmt.Errorf("reading an event: something follows its object")
	}
	return nil
}

// objectOf says which of the two objects with fields a quoted name is; -1 for neither.
func objectOf(quoted []byte) int {
	switch string(quoted) {
	case `"user"`:
		return inUser
	case `"properties"`:
		return inProperties
	}
	return -1
}

// object reads the members of user or properties.
func (r *row) object(js []byte, in int) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for nth := 0; r.dec.PeekKind() == '"'; nth++ {
		name, err := r.dec.ReadValue()
		if err != nil {
			return err
		}
		column, err := r.column(in, nth, name)
		if err != nil {
			return err
		}
		if column < 0 {
			if err := r.dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		k, first := r.table.columns[column].kind, r.dec.PeekKind()
		if k == texts && first == '[' {
			r.cells[column], err = r.list(js)
		} else {
			r.cells[column], err = r.scalar(js, k)
		}
		if err != nil {
			return err
		}
		if !r.cells[column].ok && first != 'n' {
			r.misfits++
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// column finds the column of a member; -1 for none.
func (r *row) column(in, nth int, quoted []byte) (int, error) {
	hints := r.hints[in]
	if nth < len(hints) && bytes.Equal(hints[nth].quoted, quoted) {
		return hints[nth].column, nil
	}
	name := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(name, '\\') >= 0 {
		var err error
		if r.name, err = jsontext.AppendUnquote(r.name[:0], quoted); err != nil {
			return -1, err
		}
		name = r.name
	}
	column, ok := r.table.fields[in][string(name)]
	if !ok {
		column = -1
	}
	const most, longest = 256, 64 // members and bytes of a name that are worth it
	switch {
	case len(quoted) > longest:
	case nth < len(hints):
		hints[nth].quoted, hints[nth].column = append(hints[nth].quoted[:0], quoted...), column
	case nth == len(hints) && nth < most:
		r.hints[in] = append(hints, hint{quoted: bytes.Clone(quoted), column: column})
	}
	return column, nil
}

// scalar reads the next value into a cell. The cell's text is of js and not of the decoder, whose word
// is that a value is good until the next one only.
func (r *row) scalar(js []byte, k kind) (cell, error) {
	value, err := r.dec.ReadValue()
	if err != nil {
		return cell{}, err
	}
	end := int(r.dec.InputOffset())
	return r.value(k, js[end-len(value):end]), nil
}

// value is a cell with one JSON value; it is null when that is null or does not fit.
func (r *row) value(k kind, raw []byte) cell {
	switch k {
	case text:
		if s, ok := r.unquote(raw); ok {
			return cell{ok: true, text: s}
		}
	case int32s, int64s, instant:
		size := 64
		if k == int32s {
			size = 32
		}
		if n, err := strconv.ParseInt(string(raw), 10, size); err == nil {
			return cell{ok: true, bits: uint64(n)}
		}
	case doubles:
		if raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') {
			return cell{}
		}
		if f, err := strconv.ParseFloat(string(raw), 64); err == nil {
			return cell{ok: true, bits: math.Float64bits(f)}
		}
	case boolean:
		switch raw[0] {
		case 't':
			return cell{ok: true, bits: 1}
		case 'f':
			return cell{ok: true}
		}
	case document:
		if raw[0] != 'n' {
			return cell{ok: true, text: raw}
		}
	case texts, octets: // an array is read by list
	}
	return cell{}
}

// unquote is the text of a JSON string; ok is false for any other value.
func (r *row) unquote(raw []byte) (s []byte, ok bool) {
	if raw[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1], true
	}
	n := len(r.arena)
	arena, err := jsontext.AppendUnquote(r.arena, raw)
	if err != nil {
		return nil, false
	}
	r.arena = arena
	return arena[n:len(arena):len(arena)], true
}

// list reads an array of strings and nulls. Anything else in it makes the whole unfit.
func (r *row) list(js []byte) (cell, error) {
	if _, err := r.dec.ReadToken(); err != nil {
		return cell{}, err
	}
	from, fits := len(r.elements), true
	for r.dec.PeekKind() != ']' {
		v, err := r.dec.ReadValue()
		if err != nil {
			return cell{}, err
		}
		end := int(r.dec.InputOffset())
		s, ok := r.unquote(js[end-len(v) : end])
		fits = fits && (ok || v[0] == 'n')
		r.elements = append(r.elements, s)
	}
	if _, err := r.dec.ReadToken(); err != nil {
		return cell{}, err
	}
	if !fits {
		r.elements = r.elements[:from]
		return cell{}, nil
	}
	return cell{ok: true, bits: uint64(len(r.elements) - from), from: int32(from)}, nil
}

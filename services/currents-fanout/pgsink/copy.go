package pgsink

import (
	"encoding/binary"
	"math"
)

// The frame of COPY's binary form: a signature, flags and the length of an extension, both zero; at the end the number
// of columns -1. Source: postgresql-docs, sql-copy.
const (
	copyHeader  = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyTrailer = "\xff\xff"
)

// cell is one value of a row. The zero cell is null.
type cell struct {
	ok   bool
	bits uint64 // of whole, double, boolean and instant
	s    string // of the rest, s or b
	b    []byte
}

func (c *cell) size() int { return len(c.s) + len(c.b) }

const null = math.MaxUint32 // length of no value

// appendRow appends a row in COPY's binary form.
func appendRow(dst []byte, columns []column, cells []cell) []byte {
	be := binary.BigEndian
	dst = be.AppendUint16(dst, uint16(len(columns)))
	for i := range columns {
		c := &cells[i]
		if !c.ok {
			dst = be.AppendUint32(dst, null)
			continue
		}
		switch columns[i].kind {
		case whole, double, instant:
			dst = be.AppendUint32(dst, 8)
			dst = be.AppendUint64(dst, c.bits)
		case boolean:
			dst = be.AppendUint32(dst, 1)
			dst = append(dst, byte(c.bits))
		case document:
			dst = be.AppendUint32(dst, uint32(1+c.size()))
			dst = append(dst, 1) // version of the form: text
			dst = append(append(dst, c.s...), c.b...)
		default: // text, bytes, and lists as appendTexts made them
			dst = be.AppendUint32(dst, uint32(c.size()))
			dst = append(append(dst, c.s...), c.b...)
		}
	}
	return dst
}

const textOID = 25

// appendTexts appends a list of text in the form of a value; null elements are nil.
func appendTexts(dst []byte, elements [][]byte) []byte {
	be := binary.BigEndian
	if len(elements) == 0 {
		dst = be.AppendUint32(dst, 0) // dimensions
		dst = be.AppendUint32(dst, 0) // no nulls
		return be.AppendUint32(dst, textOID)
	}
	nulls := uint32(0)
	for _, e := range elements {
		if e == nil {
			nulls = 1
		}
	}
	dst = be.AppendUint32(dst, 1)
	dst = be.AppendUint32(dst, nulls)
	dst = be.AppendUint32(dst, textOID)
	dst = be.AppendUint32(dst, uint32(len(elements)))
	dst = be.AppendUint32(dst, 1) // index of the first
	for _, e := range elements {
		if e == nil {
			dst = be.AppendUint32(dst, null)
			continue
		}
		dst = be.AppendUint32(dst, uint32(len(e)))
		dst = append(dst, e...)
	}
	return dst
}

package avro

import (
	"encoding/binary"
	"math"
	"time"
	"unsafe"
)

// AppendLong appends an Avro int or long.
func AppendLong(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

// AppendString appends an Avro string.
func AppendString(dst []byte, s string) []byte {
	return append(binary.AppendVarint(dst, int64(len(s))), s...)
}

// AppendBytes appends Avro bytes.
func AppendBytes(dst, b []byte) []byte {
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

// AppendTime appends a timestamp-millis.
func AppendTime(dst []byte, t time.Time) []byte { return binary.AppendVarint(dst, t.UnixMilli()) }

// Branches of the only union there is here, ["null", T].
const (
	branchNull  = 0 // zigzag of 0
	branchValue = 2 // zigzag of 1
)

// AppendOptString appends a nullable string; an empty one is null.
func AppendOptString(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, branchNull)
	}
	return AppendString(append(dst, branchValue), s)
}

// AppendOptBytes appends a nullable string or bytes; nil is null.
func AppendOptBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, branchNull)
	}
	return AppendBytes(append(dst, branchValue), b)
}

// AppendOptLong appends a nullable int or long.
func AppendOptLong(dst []byte, v int64, present bool) []byte {
	if !present {
		return append(dst, branchNull)
	}
	return AppendLong(append(dst, branchValue), v)
}

// Reader reads a body field by field. The first thing that is wrong sticks: what is read after it is
// zero, and Err tells. What it returns aliases the body.
type Reader struct {
	body []byte
	bad  string
}

// NewReader reads from a body, without its header.
func NewReader(body []byte) Reader { return Reader{body: body} }

// Err is nil when every field was there and nothing is left over.
func (r *Reader) Err() error {
	switch {
	case r.bad != "":
		return &Unreadable{Reason: "undecodable", Detail: r.bad}
	case len(r.body) > 0:
		return &Unreadable{Reason: "undecodable", Detail: "bytes are left over behind the last field"}
	}
	return nil
}

// More reports whether anything is left: what a later version appended.
func (r *Reader) More() bool { return len(r.body) > 0 }

func (r *Reader) fail(what string) {
	if r.bad == "" {
		r.bad = what
	}
	r.body = nil
}

// Long reads an int or long.
func (r *Reader) Long(field string) int64 {
	if len(r.body) > 0 && r.body[0] < 0x80 { // most lengths, branches and counts are one byte
		v := int64(r.body[0]>>1) ^ -int64(r.body[0]&1)
		r.body = r.body[1:]
		return v
	}
	v, n := binary.Varint(r.body)
	if n <= 0 {
		r.fail(field + ": the number is cut off or too long")
		return 0
	}
	r.body = r.body[n:]
	return v
}

// Int reads an int, which has 32 bits.
func (r *Reader) Int(field string) int32 {
	n := r.Long(field)
	if n != int64(int32(n)) {
		r.fail(field + ": the number has more than 32 bits")
		return 0
	}
	return int32(n)
}

// Bytes reads bytes or a string, never nil.
func (r *Reader) Bytes(field string) []byte {
	n := r.Long(field)
	if r.bad != "" {
		return nil
	}
	if n < 0 || n > int64(len(r.body)) {
		r.fail(field + ": it claims more bytes than there are")
		return nil
	}
	b := r.body[:n:n]
	r.body = r.body[n:]
	return b
}

// String reads a string that aliases the body.
func (r *Reader) String(field string) string {
	b := r.Bytes(field)
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Time reads a timestamp-millis.
func (r *Reader) Time(field string) time.Time { return time.UnixMilli(r.Long(field)).UTC() }

// Present reads the branch of a union ["null", T].
func (r *Reader) Present(field string) bool {
	switch r.Long(field) {
	case 0:
		return false
	case 1:
		return r.bad == ""
	}
	r.fail(field + ": the union has no such branch")
	return false
}

// OptString reads a nullable string; null is empty.
func (r *Reader) OptString(field string) string {
	if !r.Present(field) {
		return ""
	}
	return r.String(field)
}

// OptBytes reads a nullable string or bytes; null is nil.
func (r *Reader) OptBytes(field string) []byte {
	if !r.Present(field) {
		return nil
	}
	return r.Bytes(field)
}

// Bool reads a boolean.
func (r *Reader) Bool(field string) bool {
	if len(r.body) == 0 || r.body[0] > 1 {
		r.fail(field + ": a boolean is one byte, 0 or 1")
		return false
	}
	b := r.body[0] == 1
	r.body = r.body[1:]
	return b
}

// What a reader is given of an array at once, whatever the array claims: goavro's bound for a block,
// and the items that memory is asked for before one of them is read.
const (
	longestBlock = 10_000
	atOnce       = 256
)

// Block reads how many items of an array come next; 0 is the array's end. Each item has at least so
// many bytes, so that an array cannot claim more than there can be.
func (r *Reader) Block(field string, least int) int {
	n := r.Long(field)
	if n < 0 && n != math.MinInt64 {
		n = -n
		r.Long(field) // the block's size in bytes, for those who pass over it
	}
	if n < 0 || n > longestBlock || n > int64(len(r.body)/least) {
		r.fail(field + ": it claims more items than there are")
		return 0
	}
	return int(n)
}

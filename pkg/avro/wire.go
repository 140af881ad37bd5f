// Package avro knows the bytes on the wire: the header that names a schema, and the body, in both
// directions.
//
// goavro is the codec of record. The records of the hot path, customer.events, commerce.events and
// their receipts, have codecs written by hand, several times as fast, which tests hold to goavro's answer byte by byte. A
// record that another program wrote with a schema of its own is resolved to ours by twmb/avro.
package avro

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/linkedin/goavro/v2"
)

func init() {
	// goavro allocates what an array or map claims to hold before it reads a single item: without
	// these bounds a record of five bytes ends the process. They may be set only before the first
	// codec is used.
	goavro.MaxBlockCount = longestBlock
	goavro.MaxBlockSize = 1 << 20
}

// HeaderSize is the length of the header before a body: a zero byte and the schema's id.
const HeaderSize = 5

// AppendHeader appends the header of the Confluent wire format.
func AppendHeader(dst []byte, id int) []byte {
	return binary.BigEndian.AppendUint32(append(dst, 0), uint32(id))
}

// Split takes a record's value apart into the schema's id and the body.
func Split(value []byte) (id int, body []byte, err error) {
	switch {
	case value == nil:
		return 0, nil, &Unreadable{Reason: "tombstone", Detail: "the record has no value"}
	case len(value) < HeaderSize || value[0] != 0:
		return 0, nil, &Unreadable{Reason: "not_avro", Detail: "the value does not begin with a zero byte and a schema id"}
	}
	id = int(binary.BigEndian.Uint32(value[1:HeaderSize]))
	if id == 0 {
		// What a transaction's marker looks like to clients that cannot tell it apart.
		return 0, nil, &Unreadable{Reason: "unknown_schema", Detail: "schema id 0 names no schema"}
	}
	return id, value[HeaderSize:], nil
}

// Unreadable says that a record's bytes can never be read, however often one tries. Reason is one of
// not_avro, unknown_schema, incompatible_schema, undecodable, tombstone.
type Unreadable struct {
	Reason string
	Detail string
}

func (u *Unreadable) Error() string { return fmt.Sprintf("%s: %s", u.Reason, u.Detail) }

// AsUnreadable finds an Unreadable in a chain of errors.
func AsUnreadable(err error) (*Unreadable, bool) {
	var u *Unreadable
	ok := errors.As(err, &u)
	return u, ok
}

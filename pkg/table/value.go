package table

import (
	"encoding/binary"
	"errors"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/pkg/stream"
)

// A value in the database is its due time in milliseconds, 0 for none, as a varint, and then its bytes.

func appendValue(b []byte, due int64, value []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(due)), value...)
}

var errValue = errors.New("reading a value of the local copy: it is not what we write")

func splitValue(b []byte) (due int64, value []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > maxDue {
		return 0, nil, errValue
	}
	return int64(n), b[size:], nil
}

// maxDue is the end of the year 9999: what is due later is not.
const maxDue = 253_402_300_799_999

// dueMillis is a due time as it is stored. What was due before 1970 is due at its first moment.
func dueMillis(due time.Time) int64 {
	if due.IsZero() {
		return 0
	}
	return min(max(due.UnixMilli(), 1), maxDue)
}

func dueTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// record is a change as it stands in the changelog.
func record(topic string, partition int32, key, value []byte, due int64) stream.Record {
	r := stream.Record{Topic: topic, Partition: partition, Key: key, Value: value}
	if due != 0 && value != nil {
		r.Headers = []stream.Header{{Key: DueHeader, Value: strconv.AppendInt(nil, due, 10)}}
	}
	return r
}

// readDue reads the due time of a record of a changelog. What is not a time is due at once: whoever wrote it meant
// something, and the work looks at the value and decides.
func readDue(r *stream.Record) int64 {
	for _, h := range r.Headers {
		if h.Key != DueHeader {
			continue
		}
		due, err := strconv.ParseInt(string(h.Value), 10, 64)
		if err != nil {
			return 1
		}
		return min(max(due, 1), maxDue)
	}
	return 0
}

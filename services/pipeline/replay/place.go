package replay

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluicehq/sluice/pkg/stream"
)

// Place is where a record stands.
type Place struct {
	Topic     string // on the cluster; a request's path for what never stood on a topic
	Partition int32  // -1 for what never stood on a topic
	Offset    int64  // likewise
}

// PlaceOf is where a record stands.
func PlaceOf(r *stream.Record) Place { return Place{r.Topic, r.Partition, r.Offset} }

// ParsePlace reads TOPIC/PARTITION/OFFSET, as String writes it.
func ParsePlace(text string) (Place, error) {
	head, offset, ok := cutLast(text)
	topic, partition, ok2 := cutLast(head)
	p, err := strconv.ParseInt(partition, 10, 32)
	o, err2 := strconv.ParseInt(offset, 10, 64)
	if !ok || !ok2 || topic == "" || err != nil || err2 != nil || p < 0 || o < 0 {
		return Place{}, fmt.Errorf("%q: want TOPIC/PARTITION/OFFSET, such as customer.events/3/17", text)
	}
	return Place{topic, int32(p), o}, nil
}

func cutLast(text string) (before, after string, found bool) {
	i := strings.LastIndexByte(text, '/')
	if i < 0 {
		return "", "", false
	}
	return text[:i], text[i+1:], true
}

// String is TOPIC/PARTITION/OFFSET, or the path alone.
func (p Place) String() string {
	if p.Partition < 0 {
		return p.Topic
	}
	return p.Topic + "/" + strconv.Itoa(int(p.Partition)) + "/" + strconv.FormatInt(p.Offset, 10)
}

// MarshalText is String, for JSON.
func (p Place) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// Compare orders places by topic, partition and offset.
func (p Place) Compare(q Place) int {
	if c := strings.Compare(p.Topic, q.Topic); c != 0 {
		return c
	}
	if p.Partition != q.Partition {
		return int(p.Partition) - int(q.Partition)
	}
	switch {
	case p.Offset < q.Offset:
		return -1
	case p.Offset > q.Offset:
		return 1
	}
	return 0
}

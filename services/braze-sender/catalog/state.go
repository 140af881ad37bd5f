package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/stream"
)

// What is known of catalogs in Braze stands in a compacted topic: all of a catalog on one partition, under
// its name the catalog itself, under NAME/ID each item. Before an item is asked for it is noted as in doubt,
// and once Braze has answered as what Braze has then: whoever reads the topic after a crash knows what
// has to be sent, and that the rest has not.

// ownerHeader names whose record it is. Whoever takes a catalog over writes the catalog's record first.
// A record of somebody else that stands behind it was late, and its item is in doubt.
const ownerHeader = "owner"

// inDoubt is the hash of an item of which nobody knows what Braze has.
const inDoubt = "?"

// have is what Braze has of an item.
type have struct {
	Hash string `json:"hash,omitempty"` // of the row; empty for nothing
	// Refused names the records, and the row that became of them, that are refused already: a dead letter of
	// them has been written.
	Refused string `json:"refused,omitempty"`
	// Era is that of the catalog when it was written.
	Era string `json:"era"`
}

// standing is what is known of a catalog itself.
type standing struct {
	Era     string            `json:"era"`              // another one when it has to be made anew
	Created bool              `json:"created"`          // whether Braze has it
	Fields  map[string]string `json:"fields,omitempty"` // that Braze has, but for the id, with their types
	Asked   map[string]string `json:"asked,omitempty"`  // that Braze may have
}

func (s standing) clone() standing {
	s.Fields, s.Asked = maps.Clone(s.Fields), maps.Clone(s.Asked)
	return s
}

// memory is the state of a catalog as it is read.
type memory struct {
	owner    string // of the last record of the catalog itself
	standing standing
	have     map[string]have
}

// take takes a record of the state in; item is empty where it is about the catalog itself.
func (m *memory) take(item string, r *stream.Record) error {
	owner := ownerOf(r)
	if item == "" {
		m.owner, m.standing = owner, standing{}
		if r.Value == nil {
			return nil
		}
		if err := json.Unmarshal(r.Value, &m.standing); err != nil {
			return fmt.Errorf("reading what is known of a catalog: %w", err)
		}
		return nil
	}
	if m.owner != "" && owner != m.owner {
		h := m.have[item]
		h.Hash, h.Era = inDoubt, m.standing.Era
		m.have[item] = h
		return nil
	}
	if r.Value == nil {
		delete(m.have, item)
		return nil
	}
	var h have
	if err := json.Unmarshal(r.Value, &h); err != nil {
		return fmt.Errorf("reading what is known of an item: %w", err)
	}
	m.have[item] = h
	return nil
}

// settle forgets what was true of a catalog that is no more.
func (m *memory) settle() {
	for key, h := range m.have {
		if h.Era != m.standing.Era {
			m.have[key] = have{Refused: "-", Era: m.standing.Era} // nothing is there, and its record can go
		}
	}
}

func ownerOf(r *stream.Record) string {
	i := slices.IndexFunc(r.Headers, func(h stream.Header) bool { return h.Key == ownerHeader })
	if i < 0 {
		return ""
	}
	return string(r.Headers[i].Value)
}

// scribe writes the state of one catalog.
type scribe struct {
	topic     string // on the cluster
	partition int32
	catalog   string
	owner     string
}

func (s scribe) catalogRecord(st standing) (*stream.Record, error) {
	value, err := json.Marshal(st, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("writing what is known of a catalog: %w", err)
	}
	return s.record(s.catalog, value), nil
}

func (s scribe) itemRecord(key string, h have) (*stream.Record, error) {
	if h.Hash == "" && h.Refused == "" {
		return s.record(s.catalog+"/"+key, nil), nil
	}
	value, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("writing what is known of an item: %w", err)
	}
	return s.record(s.catalog+"/"+key, value), nil
}

func (s scribe) record(key string, value []byte) *stream.Record {
	return &stream.Record{
		Topic: s.topic, Partition: s.partition, Key: []byte(key), Value: value,
		Headers: []stream.Header{{Key: ownerHeader, Value: []byte(s.owner)}},
	}
}

// splitStateKey tells what a record of the state is about.
func splitStateKey(key []byte) (catalog, item string) {
	catalog, item, _ = strings.Cut(string(key), "/")
	return catalog, item
}

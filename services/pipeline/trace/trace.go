// Package trace tells one customer's or one event's way through every topic, with what Braze answered.
//
//	find.go       reading the topics for records that belong to the question
//	beside.go     letters and receipts that are about them, or belong to the question themselves
//	story.go      putting receipts and letters beside the records they are about, in the order of time
//	writeback.go  what was written to CRMs because of a record
//	law.go        what became of them: accepted = delivered + skipped + refused + held
//	updates.go    what records of profiles have led to, and which writes were declined
//	headline.go   a record in a few words, without anybody's values
//	text.go       the story for a person
//
// Of topics it knows one by name, braze.attributes, whose records name what they come from. Whatever package schema lists is read; a topic that ends in .deliveries
// holds receipts, one that ends in .deadletters holds letters, and every other holds records. A record
// is read with its writer's schema, so that of a topic that is new tomorrow the key, the id and the
// receipts are told, even where nobody has written a headline for it.
//
// By key, one partition of each topic is read: the one where Kafka's clients put the key. By id the
// topics are read whole until the records are found, and from then on the partitions of their customer.
package trace

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

// Query is what is asked for.
type Query struct {
	Text  string // a key, or an event's id
	As    As
	Since time.Time // what was written before is left out; the zero value leaves nothing out
	Limit int       // how many records are told at most, the newest; 0 is any number
	// Values includes what the records say; without it only names are told, and no personal data but
	// the key itself and Braze's own words.
	Values bool
	// Everywhere reads every partition, for records that somebody has put where their key does not
	// belong.
	Everywhere bool
}

// As says what the text of a query is.
type As string

// What it may be. Either tries the key, and the id where there is no such key.
const (
	Either As = ""
	Key    As = "key"
	Event  As = "event"
)

// Story is the answer.
type Story struct {
	Query string   `json:"query"`
	As    As       `json:"as"` // what it turned out to be; empty when nothing was found
	Asked As       `json:"-"`
	Keys  []string `json:"keys"`
	// Entries are in the order of time.
	Entries []*Entry `json:"entries"`
	// Earlier is how many records were left out because of the limit.
	Earlier int      `json:"earlier,omitempty"`
	Laws    []Law    `json:"laws"`
	Looked  []Looked `json:"looked"`
}

// Looked is where was looked.
type Looked struct {
	Topic      string  `json:"topic"`                // without prefix
	Missing    bool    `json:"missing,omitempty"`    // the cluster has no such topic
	Partitions []int32 `json:"partitions,omitempty"` // that were read; all of them when empty
	Records    int     `json:"records"`              // that were looked at
}

// Entry is a record, with what is known of it. Of one that is not on its topic any more only that is
// left.
type Entry struct {
	At           time.Time      `json:"at"`
	Place        replay.Place   `json:"place"`
	Topic        string         `json:"topic"` // without prefix
	Key          string         `json:"key,omitempty"`
	Gone         bool           `json:"gone,omitempty"`
	What         string         `json:"what"` // a few words
	EventID      string         `json:"event_id,omitempty"`
	Source       string         `json:"source,omitempty"`
	ReplayedFrom []replay.Place `json:"replayed_from,omitempty"`
	Unreadable   *tap.Reason    `json:"unreadable,omitempty"`
	Value        jsontext.Value `json:"value,omitempty"`
	Receipts     []Receipt      `json:"receipts,omitempty"`
	Letters      []Letter       `json:"dead_letters,omitempty"`
	// Causes are the records that an update of a profile comes from; Led are the updates that a record has
	// led to, and Declined the writes of it that came to nothing. Unchanged says that Braze had it all.
	Causes    []Cause         `json:"causes,omitempty"`
	Led       []replay.Place  `json:"led_to,omitempty"`
	Declined  []Declined      `json:"declined,omitempty"`
	Unchanged bool            `json:"unchanged,omitempty"`
	Fates     map[string]Fate `json:"fates,omitempty"` // by service

	writes map[string]bool // ids of the writes to CRMs that were planned because of it
}

// Receipt is what a service says became of a record.
type Receipt struct {
	At        time.Time    `json:"at"`
	Place     replay.Place `json:"place"` // of the receipt
	Service   string       `json:"service"`
	Outcome   string       `json:"outcome"` // delivered, skipped, refused, deferred
	Reason    string       `json:"reason,omitempty"`
	Detail    string       `json:"detail,omitempty"`
	Endpoint  string       `json:"endpoint,omitempty"`
	Status    int          `json:"http_status,omitempty"`
	RequestID string       `json:"request_id,omitempty"`
	LatencyMS int64        `json:"latency_ms,omitempty"`
	Attempts  int          `json:"attempts"`
	// Of a write to a CRM, or back to Braze: its id, and what was to be written to which object of which target.
	WriteID string `json:"write_id,omitempty"`
	Target  string `json:"target,omitempty"`
	Object  string `json:"object,omitempty"`
	Hops    int    `json:"hops,omitempty"`
}

// Letter is a dead letter about a record.
type Letter struct {
	At       time.Time    `json:"at"`
	ID       replay.Place `json:"id"`
	Service  string       `json:"service"`
	Reason   string       `json:"reason"`
	Detail   string       `json:"detail,omitempty"`
	Attempts int          `json:"attempts"`
}

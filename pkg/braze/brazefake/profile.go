package brazefake

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Profile is what is known of a user.
type Profile struct {
	ExternalID string `json:"external_id,omitempty"`
	BrazeID    string `json:"braze_id"`
	Alias      *Alias `json:"user_alias,omitempty"` // the first
	// MoreAliases are all others.
	MoreAliases []Alias `json:"more_user_aliases,omitempty"`
	// Deprecated are external ids that were the user's before a rename, and still work.
	Deprecated []string                   `json:"deprecated_external_ids,omitempty"`
	Attributes map[string]json.RawMessage `json:"attributes"`        // fields that Braze knows
	Custom     map[string]json.RawMessage `json:"custom_attributes"` // all others
	// Subscriptions are the states of subscription groups by id.
	Subscriptions map[string]string `json:"subscription_groups,omitempty"`
	Events        []Event           `json:"custom_events"` // in the order in which they were applied
	Purchases     []Event           `json:"purchases"`     // likewise
	// EventCount and PurchaseCount count those too that have been forgotten.
	EventCount    int       `json:"custom_event_count"`
	PurchaseCount int       `json:"purchase_count"`
	CreatedAt     time.Time `json:"created_at"`
	UpdatedAt     time.Time `json:"updated_at"`
}

// Alias names a user by a label and a name under it.
type Alias struct {
	Label string `json:"alias_label"`
	Name  string `json:"alias_name"`
}

// Event is an event or a purchase as it is stored. Duplicates are stored again, as Braze does.
type Event struct {
	Name       string          `json:"name"` // product_id of a purchase
	Time       time.Time       `json:"time"`
	Properties json.RawMessage `json:"properties,omitempty"`
	AppID      json.RawMessage `json:"app_id,omitempty"`
	Currency   json.RawMessage `json:"currency,omitempty"`
	Price      json.RawMessage `json:"price,omitempty"`
	Quantity   json.RawMessage `json:"quantity,omitempty"`
	Request    int64           `json:"request"`
	// Received and Applied are its places in the order in which all objects came in and were applied.
	Received int64 `json:"received"`
	Applied  int64 `json:"applied"`
	// Clamped says that it claimed to be in the future and was given the time of its arrival.
	Clamped bool `json:"clamped,omitempty"`
}

// InOrderReceived sorts events by when they came in. Where requests are applied late that is another
// order than the one in which they are kept.
func InOrderReceived(events []Event) []Event {
	return slices.SortedFunc(slices.Values(events), func(a, b Event) int { return cmp.Compare(a.Received, b.Received) })
}

// person is a profile that is being kept.
type person struct {
	brazeID string // set by register before anybody else sees it
	created time.Time
	updated atomic.Int64 // Unix nanoseconds

	// Change only while people.whole is locked.
	externalID string
	deprecated []string
	aliases    []Alias

	// Under the lock of the index.
	email, phone string // by which it is found
	forgotten    bool

	mu         sync.Mutex
	attributes map[string]json.RawMessage
	custom     map[string]json.RawMessage
	groups     map[string]string
	events     []Event
	purchases  []Event
	eventCount int
	buyCount   int
}

func newPerson(id identity) *person {
	p := &person{
		externalID: id.externalID, created: time.Now(),
		attributes: map[string]json.RawMessage{}, custom: map[string]json.RawMessage{},
	}
	if id.externalID == "" && id.aliasName != "" {
		p.aliases = []Alias{{Label: id.aliasLabel, Name: id.aliasName}}
	}
	p.updated.Store(p.created.UnixNano())
	if id.externalID == "" && id.aliasName == "" {
		if id.email != "" {
			p.attributes["email"], _ = json.Marshal(id.email)
		} else {
			p.attributes["phone"], _ = json.Marshal(id.phone)
		}
	}
	return p
}

// brazeID makes an id that looks like Braze's: 24 hexadecimal digits.
func brazeID(n uint64) string { return fmt.Sprintf("5a4db0%018x", n) }

func (p *person) view() Profile {
	p.mu.Lock()
	defer p.mu.Unlock()
	view := Profile{
		ExternalID: p.externalID, BrazeID: p.brazeID,
		Attributes: maps.Clone(p.attributes), Custom: maps.Clone(p.custom), Subscriptions: maps.Clone(p.groups),
		Events: slices.Clone(p.events), Purchases: slices.Clone(p.purchases),
		EventCount: p.eventCount, PurchaseCount: p.buyCount,
		CreatedAt: p.created.UTC(), UpdatedAt: time.Unix(0, p.updated.Load()).UTC(),
	}
	view.Deprecated = slices.Clone(p.deprecated)
	if len(p.aliases) > 0 {
		view.Alias = &Alias{Label: p.aliases[0].Label, Name: p.aliases[0].Name}
		view.MoreAliases = slices.Clone(p.aliases[1:])
	}
	return view
}

// remember appends an event, and forgets the oldest if there are more than most; 0 is any number.
func remember(events []Event, e Event, most int) []Event {
	if most > 0 && len(events) >= most {
		events = append(events[:0], events[len(events)-most+1:]...)
	}
	return append(events, e)
}

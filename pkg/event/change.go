package event

import "time"

// What a [Change] says of its object.
const (
	Changed = "changed" // fields have other values
	Deleted = "deleted" // it is gone
	Linked  = "linked"  // nothing but which user it is
)

// Change is what a CRM, a billing or a loyalty system says of one of its objects, the content of one record of
// crm.changes.
type Change struct {
	ID       string // idempotency key within System
	User     User   // nobody where the system names only its own object
	Kind     string // Changed, Deleted or Linked
	System   string // name of a target in writeback.yaml
	Object   string // kind of object in the system's own words: Contact, contacts, subscription
	ObjectID string
	// Changes is a JSON object, field to its new value, as the system names both; nil where nothing is said of fields.
	Changes    []byte
	Version    *int64 // the system's version of the object, if it has one; higher is newer
	Actor      string // who made the change, in the system's own words; empty where it does not say
	OccurredAt time.Time
	ReceivedAt time.Time
	Source     string // API key or webhook that it came by
}

// Key is the Kafka key: the user's canonical id, or the object's where it names nobody.
func (c *Change) Key() string {
	if key := c.User.Key(); key != "" {
		return key
	}
	return ObjectKey(c.System, c.Object, c.ObjectID)
}

// ObjectKey is the key of what is known of a system's object before anybody knows which user it is.
func ObjectKey(system, object, id string) string { return "crm:" + system + ":" + object + ":" + id }

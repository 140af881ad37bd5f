// Package rules is writeback.yaml, read and checked: which systems there are, which of their objects and fields belong to
// what in Braze, and what is written when a customer does something.
//
// It holds no state and calls nobody. Three questions are put to it: what an action or an engagement writes ([Set.Action],
// [Set.Engagement]), what a change made in a system means for Braze ([Set.Back]), and whether two values of a
// field are the same ([Set.Comparable]) – for what went out as true comes back as "true" from the one system, and as
// 1772442904000 from the other what went out as 2026-03-02T09:15:04Z.
//
// What is true, or what is sent, is said in jq. A program sees the record and nothing else, so that the same
// record is the same write whenever and wherever it is planned: there is no clock, no environment and no file
// for it, and it is stopped after [Patience].
package rules

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/quota"
)

// Patience is how long the programs of one record may run together. They take microseconds; it is generous because it is
// measured by the clock on the wall, and a busy machine must not refuse what an idle one writes.
const Patience = time.Second

// Why a [Draft] is not to be written.
const (
	NoKey          = "no_key"           // the record does not say which object
	NothingToWrite = "nothing_to_write" // set answers nothing, null or {}
)

// Target is one system of writeback.yaml.
type Target struct {
	Name          string // of the target; system of crm.changes too
	Kind          string // Salesforce, HubSpot or HTTP
	Rate          quota.Rate
	Linger        time.Duration // longest wait of a lone row for company
	Memory        int64         // bytes that its writer may hold
	Concurrency   int           // calls under way at once, at most the kind's own
	FailureBudget time.Duration // how long it may fail without a break before the last alarm
	Self          []string      // actors that are ourselves; empty where the system does not say who made a change
	EchoWindow    time.Duration // how long after a write its echo may come
	options       options
}

// The kinds of targets, as the file names them.
const (
	Salesforce = "salesforce"
	HubSpot    = "hubspot"
	HTTP       = "http"
)

// Options reads what stands under the kind's name into a pointer to a struct with the tags yaml, default, required,
// oneof, min and max, and calls its Validate if it has one. Unknown keys, and whatever else is wrong, are
// config.Problems with the target's name and the line.
func (t Target) Options(into any) error { return t.options.decode(into) }

// Is reports whether an actor is ourselves, as far as anybody can say: no list, or no actor, speaks for it.
func (t Target) Is(actor string) bool {
	if len(t.Self) == 0 || actor == "" {
		return true
	}
	for _, s := range t.Self {
		if sameActor(s, actor) {
			return true
		}
	}
	return false
}

// Owner says whose edit of a field counts.
type Owner string

// The owners of a field.
const (
	OwnerCRM    Owner = "crm"    // Braze's edits are not written
	OwnerBraze  Owner = "braze"  // the system's edits are not forwarded, and ours is written back
	OwnerNewest Owner = "newest" // the later edit counts
)

// Field is a field of an object that has a counterpart in Braze.
type Field struct {
	Name      string // as the system names it
	Attribute string // of the profile; or Group
	Group     string // id of a subscription group
	Owner     Owner
	Type      string // text, number, boolean, date, time or list; empty where values go as they come
	toBraze   *program
}

// Draft is a write that a rule wants, before anybody has looked at what the object holds already.
type Draft struct {
	Rule   string
	Target string
	Object string
	// KeyField and Key are the external key and its value. Of a note they name the object that it is about, and are both
	// empty where the file does not have the rule's object. Key is empty where Skip is NoKey.
	KeyField string
	Key      string
	Mode     string // crm.Upsert, crm.Update or crm.Note
	// Fields is a JSON object of fields without the key, its names sorted, numbers with the digits that they came with;
	// null empties a field. Nil where Skip says why there are none.
	Fields   jsontext.Value
	Skip     string // NoKey or NothingToWrite; empty when it is to be written
	EditedAt time.Time
	User     event.User
}

// Back is what a change means for Braze.
type Back struct {
	// User is whom the change names, or else whom the object's identity or user finds in it; nobody where neither does.
	User event.User
	// Known is whether the file has the object; nothing else is said where it has not.
	Known    bool
	KeyField string // of the object
	Key      string // its value, where the change has it
	// Fields are those of the change that the file maps, sorted by name.
	Fields []BackField
}

// BackField is a changed field, in the system's words and in Braze's.
type BackField struct {
	Field
	Raw jsontext.Value // as the system says it
	// Value is the attribute's; null unsets it. Nil of a subscription group.
	Value        jsontext.Value
	Subscription *event.Subscription // nil of an attribute
}

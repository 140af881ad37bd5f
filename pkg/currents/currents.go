// Package currents knows the engagement events that Braze reports back through Currents: which types
// there are, what stands in them, and how the bytes that Braze sends become an [event.Engagement].
//
// Currents never sends anything again once it was accepted, so nothing here refuses an event for what
// is odd in it. [Batch] takes a request's body apart without judging the events. [Read] needs of one no
// more than that it is a JSON object; what it does not find it makes up, in a way that is written down
// there, and the object itself is kept as it came. [ReadFile] reads the other form of the same events,
// the Avro files that Currents puts into object storage, and gives them the form that [Read] knows.
//
// The catalogue ([Types], [Lookup]) is for documentation, views, samples and [Drifts], which says where
// an event differs from what was known when this was written. Reading never asks it for more than a
// channel: an event of a type or with fields that nobody has heard of passes like all others.
//
// The facts are Braze's: braze-docs, custom_http_connector and event_glossary, as of Currents version
// 11, and the schemas and samples that Braze publishes in currents-examples.
package currents

import "slices"

// Kind is what a field's values are.
type Kind string

// The kinds there are. In the JSON of an event int, long, float and double are all numbers; the word is
// that of Currents' Avro schemas and says what a number may be.
const (
	String  Kind = "string"
	Int     Kind = "int"    // whole, 32 bits
	Long    Kind = "long"   // whole, 64 bits
	Float   Kind = "float"  // 32 bits: not exact for money
	Double  Kind = "double" // 64 bits
	Boolean Kind = "boolean"
	Strings Kind = "string[]" // list of texts, single ones may be null
	JSON    Kind = "json"     // object; a text in Avro
)

// Where a field stands in the JSON of an event.
const (
	InUser       = "user"
	InProperties = "properties"
)

// The two forms in which Currents gives out events, as [Field.Only] names them.
const (
	HTTP = "http"
	Avro = "avro"
)

// Field is one member of an event's user or properties. The event's own id, time and event_type stand
// beside those and are not in the list.
type Field struct {
	Name     string
	Kind     Kind
	Required bool   // never null in Currents' schema; Braze has loosened such fields before
	In       string // InUser or InProperties

	Avro string // the field's name in Avro files, where it has another one
	Only string // HTTP or Avro, where the published samples of the other form lack it; empty for both
}

// AvroName is what the field is called in Avro files.
func (f *Field) AvroName() string {
	if f.Avro != "" {
		return f.Avro
	}
	return f.Name
}

// Status says what is particular about a type.
type Status string

// The standings a type can have, besides being an ordinary one.
const (
	Ordinary    Status = ""
	Storage     Status = "storage"     // documented for Avro files only
	Beta        Status = "beta"        // not yet given to every customer
	Legacy      Status = "legacy"      // in older samples, no longer in the schemas
	Unannounced Status = "unannounced" // in Braze's samples, but in no changelog: may appear
)

// Type is one type of event.
type Type struct {
	Name    string // dotted, such as users.messages.email.Click
	Channel string // of the message it is about, as [event.Engagement] has it; empty for none
	Section string // heading under which people look for it
	Since   int    // version of Currents that brought it; 2 is the first with a changelog, 0 is unknown
	Fields  []Field

	When   string // half a sentence: what has happened
	Status Status
	Time   Kind // of the Avro field "time": Int, or Long in some newer schemas
}

// Field is the type's field of that name in InUser or InProperties.
func (t *Type) Field(in, name string) (Field, bool) {
	for i := range t.Fields {
		if f := &t.Fields[i]; f.Name == name && f.In == in {
			return *f, true
		}
	}
	return Field{}, false
}

// Types are all known types, sorted by name. The fields are shared: read only.
func Types() []Type { return slices.Clone(catalogue.types) }

// Lookup is the type of that name.
func Lookup(name string) (Type, bool) {
	t, ok := catalogue.byName[name]
	if !ok {
		return Type{}, false
	}
	return *t.Type, true
}

package braze

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Operator is a value of a custom attribute that changes what is there instead of replacing it
// (braze-docs: user_attributes_object, array_of_objects).
type Operator interface {
	// AppendBody appends the value: {"inc": 1}.
	AppendBody(dst []byte) []byte
	// Check returns the first rule that is broken, or nil.
	Check() *Violation
	// Repeatable reports whether the same once more leaves the attribute as it is. It is our reading of
	// the rules, not a statement of Braze's.
	Repeatable() bool
}

// Increment adds to an integer; it may be negative. What is no integer is left alone without a word.
type Increment int64

// AppendBody appends {"inc": n}.
func (i Increment) AppendBody(dst []byte) []byte {
	return append(strconv.AppendInt(append(dst, `{"inc":`...), int64(i), 10), '}')
}

// Check finds nothing: every integer may be added.
func (Increment) Check() *Violation { return nil }

// Repeatable is false.
func (i Increment) Repeatable() bool { return i == 0 }

// ArrayChange adds plain values to an array and removes others, in that order. Values are JSON. One that
// is there already moves to the end; an array that would grow beyond its limit, 25 unless raised, is left
// alone without a word.
type ArrayChange struct{ Add, Remove []jsontext.Value }

// AppendBody appends {"add": […], "remove": […]}.
func (c *ArrayChange) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	appendValues(&w, "add", c.Add)
	appendValues(&w, "remove", c.Remove)
	w.close('}')
	return w.b
}

func appendValues(w *writer, name string, values []jsontext.Value) {
	if len(values) == 0 {
		return
	}
	w.name(name)
	w.open('[')
	for _, v := range values {
		w.rawValue(v)
	}
	w.close(']')
}

// Check checks the values: strings, numbers and booleans.
func (c *ArrayChange) Check() *Violation {
	if len(c.Add)+len(c.Remove) == 0 {
		return &Violation{Field: "add", Rule: RuleMissing}
	}
	if v := checkPlain("add", c.Add); v != nil {
		return v
	}
	return checkPlain("remove", c.Remove)
}

func checkPlain(name string, values []jsontext.Value) *Violation {
	for i, v := range values {
		at := indexed(name, i)
		switch {
		case !v.IsValid():
			return &Violation{Field: at, Rule: RuleNotJSON}
		case v.Kind() == '{' || v.Kind() == '[' || v.Kind() == 'n':
			return &Violation{Field: at, Rule: RuleNotAllowed, Detail: "a plain array holds strings, numbers and booleans"}
		case v.Kind() == '"' && longerText(text(v), MaxStringLen):
			return &Violation{Field: at, Rule: RuleStringTooLong}
		}
	}
	return nil
}

// Repeatable is true: each value is in the array once.
func (*ArrayChange) Repeatable() bool { return true }

// Identifier names the objects of an array whose member Key has that Value, a JSON value.
type Identifier struct {
	Key   string
	Value jsontext.Value
}

// ObjectUpdate lays an object over those that are named.
type ObjectUpdate struct {
	Identifier
	New jsontext.Value // a JSON object; it cannot remove a member
}

// ObjectsChange changes an array of objects. Updates need _merge_objects beside the attribute. Removing
// removes every object that has the value; nothing keeps the same object from being added twice.
type ObjectsChange struct {
	Add    []jsontext.Value // JSON objects
	Remove []Identifier
	Update []ObjectUpdate
}

// AppendBody appends {"$add": […], "$remove": […], "$update": […]}.
func (c *ObjectsChange) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	appendValues(&w, "$add", c.Add)
	if len(c.Remove) > 0 {
		w.name("$remove")
		w.open('[')
		for _, id := range c.Remove {
			w.open('{')
			id.append(&w)
			w.close('}')
		}
		w.close(']')
	}
	if len(c.Update) > 0 {
		w.name("$update")
		w.open('[')
		for _, u := range c.Update {
			w.open('{')
			u.append(&w)
			w.raw("$new_object", u.New)
			w.close('}')
		}
		w.close(']')
	}
	w.close('}')
	return w.b
}

func (id *Identifier) append(w *writer) {
	w.text("$identifier_key", id.Key)
	w.raw("$identifier_value", id.Value)
}

// Check checks the objects and what names them.
func (c *ObjectsChange) Check() *Violation {
	if len(c.Add)+len(c.Remove)+len(c.Update) == 0 {
		return &Violation{Field: "$add", Rule: RuleMissing}
	}
	for i, object := range c.Add {
		if v := checkNested(indexed("$add", i), object); v != nil {
			return v
		}
	}
	for i, id := range c.Remove {
		if v := id.check(indexed("$remove", i)); v != nil {
			return v
		}
	}
	for i, u := range c.Update {
		at := indexed("$update", i)
		if v := u.check(at); v != nil {
			return v
		}
		if v := checkNested(at+".$new_object", u.New); v != nil {
			return v
		}
	}
	return nil
}

func (id *Identifier) check(at string) *Violation {
	switch {
	case strings.TrimSpace(id.Key) == "":
		return &Violation{Field: at + ".$identifier_key", Rule: RuleMissing}
	case !id.Value.IsValid():
		return &Violation{Field: at + ".$identifier_value", Rule: RuleNotJSON}
	}
	return nil
}

// checkNested checks an object that stands in an attribute.
func checkNested(at string, object []byte) *Violation {
	if len(object) == 0 {
		return &Violation{Field: at, Rule: RuleMissing}
	}
	nested := rules{root: at, maxBytes: MaxPropertyBytes, maxMembers: MaxPropertyBytes, reserved: func([]byte) bool { return false }}
	return nested.check(object)
}

// Repeatable is true when nothing is added.
func (c *ObjectsChange) Repeatable() bool { return len(c.Add) == 0 }

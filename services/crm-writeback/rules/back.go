package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/jsontree"
)

// Back says what a change means for Braze. A change that names its user is that user's; identity and user of the file are
// asked only where it names nobody.
//
// The error is a *[Failed] without a rule, to be refused with the reason "rule_failed": the changes are no JSON object, a
// value is not of its field's type, or a program did not work.
func (s *Set) Back(c *event.Change) (Back, error) {
	b := Back{User: c.User}
	o := s.objects[objectName{c.System, c.Object}]
	if o == nil {
		return b, nil
	}
	b.Known, b.KeyField = true, o.keyField
	changes := map[string]any{}
	if c.Changes != nil {
		tree, err := jsontree.Read(c.Changes, sent)
		if err != nil {
			return b, &Failed{Err: fmt.Errorf("reading changes: %w", err)}
		}
		var ok bool
		if changes, ok = tree.(map[string]any); !ok {
			return b, &Failed{Err: errors.New("reading changes: no object")}
		}
	}
	b.Key, _ = keyText(changes[o.keyField]) // what is no key does not find anything
	if b.Key == "" && o.keyIsID {
		b.Key = c.ObjectID
	}
	var r run
	defer r.end()
	if b.User == (event.User{}) {
		var err error
		if b.User, err = o.owner(&r, c, changes); err != nil {
			return b, &Failed{Err: fmt.Errorf("object %s: user: %w", c.Object, err)}
		}
	}
	for name, v := range changes {
		f := o.fields[name]
		if f == nil {
			continue
		}
		back, some, err := f.back(&r, v)
		if err != nil {
			return b, &Failed{Err: fmt.Errorf("object %s: field %s: %w", c.Object, name, err)}
		}
		if some {
			b.Fields = append(b.Fields, back)
		}
	}
	slices.SortFunc(b.Fields, func(x, y BackField) int { return strings.Compare(x.Name, y.Name) })
	return b, nil
}

// owner is whom the object itself names; nobody where it does not.
func (o *object) owner(r *run, c *event.Change, changes map[string]any) (event.User, error) {
	switch {
	case o.identity != "":
		id, err := keyText(changes[o.identity])
		return event.User{ExternalID: id}, err
	case o.user != nil:
		v, _, err := o.user.one(r, changeInput(c, changes))
		if err != nil || v == nil {
			return event.User{}, err
		}
		return userOf(v)
	}
	return event.User{}, nil
}

// userOf reads what a program says of a user, as POST /v1/crm/changes takes it.
func userOf(v any) (u event.User, err error) {
	m, ok := v.(map[string]any)
	if !ok {
		return u, errors.New("it answers what is no object")
	}
	for name, value := range m {
		if name == "alias" {
			alias, _ := value.(map[string]any)
			label, ok1 := alias["label"].(string)
			name, ok2 := alias["name"].(string)
			if value != nil && (!ok1 || !ok2) {
				return event.User{}, errors.New("alias: want {label, name}")
			}
			u.AliasLabel, u.AliasName = label, name
			continue
		}
		into := map[string]*string{"external_id": &u.ExternalID, "braze_id": &u.BrazeID, "email": &u.Email, "phone": &u.Phone}[name]
		if into == nil {
			return event.User{}, errors.New("it answers other names than external_id, braze_id, alias, email and phone")
		}
		if *into, err = keyText(value); err != nil {
			return event.User{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	if u.AliasName == "" || u.AliasLabel == "" {
		u.AliasLabel, u.AliasName = "", ""
	}
	return u, nil
}

// back is a value in Braze's words; none where to_braze answers nothing.
func (f *Field) back(r *run, v any) (b BackField, some bool, err error) {
	b = BackField{Field: *f}
	if b.Raw, err = encode(nil, v); err != nil {
		return b, false, err
	}
	if v, err = typed(f.Type, v); err != nil {
		return b, false, err
	}
	if f.toBraze != nil {
		if v, some, err = f.toBraze.one(r, v); err != nil || !some {
			return b, false, err
		}
	}
	if f.Group != "" {
		state, err := subscription(v)
		b.Subscription = &event.Subscription{GroupID: f.Group, State: state}
		return b, true, err
	}
	b.Value, err = encode(nil, v)
	return b, true, err
}

// subscription is the state of a group. What has been emptied is no consent.
func subscription(v any) (string, error) {
	if on, err := boolean(v); err == nil {
		if on == true {
			return "subscribed", nil
		}
		return "unsubscribed", nil
	}
	switch v {
	case nil, "", "unsubscribed":
		return "unsubscribed", nil
	case "subscribed":
		return "subscribed", nil
	}
	return "", errors.New("want true or false, subscribed or unsubscribed")
}

// Comparable appends a value to dst in a form in which two values of a field that mean the same are the same bytes. It
// is for comparing and hashing only. A value that is no JSON is appended as it is.
//
// Where the file gives the field no type, true is "true", null is "", 12.50 is "12.5" and a moment is the same in every
// zone; a field whose texts must be told apart to the last zero has the type text.
func (s *Set) Comparable(dst []byte, target, object, field string, value jsontext.Value) []byte {
	kind := ""
	if f := s.field(target, object, field); f != nil {
		if kind = f.Type; f.Group != "" && kind == "" {
			kind = typeBoolean
		}
	}
	tree, err := jsontree.Read(value, sent)
	if err != nil {
		return append(dst, value...)
	}
	out, err := encode(dst, plain(kind, tree))
	if err != nil {
		return append(dst, value...)
	}
	return out
}

// sameActor reports whether an actor is the one that the file names: as a whole or in one of its words, such as the
// client=sluice of a Salesforce change, or the app's number of HubSpot's. Salesforce's ids have a short and a long form.
func sameActor(self, actor string) bool {
	if self == actor {
		return true
	}
	for word := range strings.FieldsSeq(actor) {
		if word == self || sameSalesforceID(word, self) {
			return true
		}
	}
	return false
}

func sameSalesforceID(a, b string) bool {
	const short, long = 15, 18
	if len(a) > len(b) {
		a, b = b, a
	}
	return len(a) == short && len(b) == long && a == b[:short]
}

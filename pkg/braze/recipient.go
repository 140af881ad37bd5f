package braze

// Creation says whether a user who does not exist is created.
type Creation uint8

// What can be said about it.
const (
	CreateDefault Creation = iota // not said: what Braze does by itself
	CreateNever                   // only users who exist
	CreateAlways                  // anybody who does not exist yet
)

// Recipient is one user that a campaign or a Canvas is sent to.
type Recipient struct {
	Target // external id, alias, braze id, or email
	// Properties are the recipient's own trigger_properties, or context of a Canvas, over those of the
	// request: a JSON object, or nothing.
	Properties []byte
	// Attributes are set before the message is made: a JSON object, or nothing. A Canvas does not by
	// default take subscription groups there.
	Attributes []byte
	// Existing is send_to_existing_only: by default only users who exist are sent to; CreateAlways needs
	// Attributes, and cannot be used with an alias (braze-docs: recipient_object).
	Existing Creation
}

// Broadcast is whom a send goes to that names no recipients.
type Broadcast struct {
	// All sends to everybody in the campaign's segment, or in Audience. It excludes recipients, and must
	// be set where there are none.
	All bool
	// Audience is a connected audience object, or nothing.
	Audience []byte
}

// Attachment is a file that an email carries, of at most 2 MB.
type Attachment struct {
	FileName string
	URL      string
}

func (b *Broadcast) pool() *Pool {
	if b.All {
		return PoolBroadcast
	}
	return PoolGeneral
}

func (r *Recipient) append(w *writer, propertiesName string) {
	w.open('{')
	r.Target.append(w, "external_user_id")
	w.raw(propertiesName, r.Properties)
	w.raw("attributes", r.Attributes)
	if r.Existing != CreateDefault {
		w.boolean("send_to_existing_only", r.Existing == CreateNever)
	}
	w.close('}')
}

// check checks that there is somebody to send to, in one way and not in two.
func (b *Broadcast) check(listName string, listed int) *Violation {
	switch {
	case b.All && listed > 0:
		return &Violation{Field: listName, Rule: RuleNotAllowed, Detail: "a broadcast names none"}
	case !b.All && listed == 0:
		return &Violation{Field: listName, Rule: RuleMissing, Detail: "without broadcast there must be some"}
	}
	return checkJSON("audience", b.Audience, MaxBody)
}

// Check checks a recipient of a campaign, or of a Canvas, by itself.
func (r *Recipient) Check() *Violation { return r.check("recipient", "trigger_properties") }

func (r *Recipient) check(at, propertiesName string) *Violation {
	if v := r.Target.check(at, "external_id", "user_alias", "braze_id", "email"); v != nil {
		return v
	}
	if v := checkJSON(at+"."+propertiesName, r.Properties, MaxTriggerBytes); v != nil {
		return v
	}
	if v := CheckAttributes(r.Attributes); v != nil {
		v.Field = at + "." + v.Field
		return v
	}
	if r.Existing == CreateAlways {
		at += ".send_to_existing_only"
		switch {
		case len(r.Attributes) == 0:
			return &Violation{Field: at, Rule: RuleNotAllowed, Detail: "creating a user needs attributes"}
		case r.User.Alias != Alias{}:
			return &Violation{Field: at, Rule: RuleNotAllowed, Detail: "a user named by an alias must exist"}
		}
	}
	return nil
}

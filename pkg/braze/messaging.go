package braze

import "strconv"

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

// CampaignTrigger is a request to /campaigns/trigger/send.
type CampaignTrigger struct {
	CampaignID string
	SendID     string // of a send that is tracked by itself; optional
	// Properties are the trigger_properties of all recipients: a JSON object, or nothing.
	Properties  []byte
	Broadcast   Broadcast
	Recipients  []Recipient
	Attachments []Attachment
}

// CanvasTrigger is a request to /canvas/trigger/send. To a Canvas that is paused or archived Braze
// answers success with an Answer.Notice, and sends nothing.
type CanvasTrigger struct {
	CanvasID string
	// Context is that of all recipients: a JSON object, or nothing.
	Context    []byte
	Broadcast  Broadcast
	Recipients []Recipient
}

// trigger is what both have in common.
type trigger struct {
	idName, id, sendID string
	propertiesName     string
	properties         []byte
	broadcast          *Broadcast
	recipients         []Recipient
	attachments        []Attachment
}

func (c *CampaignTrigger) trigger() trigger {
	return trigger{"campaign_id", c.CampaignID, c.SendID, "trigger_properties", c.Properties, &c.Broadcast, c.Recipients, c.Attachments}
}

func (c *CanvasTrigger) trigger() trigger {
	return trigger{"canvas_id", c.CanvasID, "", "context", c.Context, &c.Broadcast, c.Recipients, nil}
}

// Endpoint is [CampaignsTriggerSend].
func (*CampaignTrigger) Endpoint() *Endpoint { return CampaignsTriggerSend }

// Path is the endpoint's.
func (*CampaignTrigger) Path() string { return CampaignsTriggerSend.Path }

// Items is the number of recipients.
func (c *CampaignTrigger) Items() int { return len(c.Recipients) }

// Pool is what the send draws from.
func (c *CampaignTrigger) Pool() *Pool { return c.Broadcast.pool() }

// Repeatable is false: every send is another message.
func (*CampaignTrigger) Repeatable() bool { return false }

// AppendBody appends the request's body.
func (c *CampaignTrigger) AppendBody(dst []byte) []byte {
	t := c.trigger()
	return t.append(dst)
}

// Check checks the request and each of its recipients.
func (c *CampaignTrigger) Check() *Violation {
	t := c.trigger()
	return t.check()
}

// Endpoint is [CanvasTriggerSend].
func (*CanvasTrigger) Endpoint() *Endpoint { return CanvasTriggerSend }

// Path is the endpoint's.
func (*CanvasTrigger) Path() string { return CanvasTriggerSend.Path }

// Items is the number of recipients.
func (c *CanvasTrigger) Items() int { return len(c.Recipients) }

// Pool is what the send draws from.
func (c *CanvasTrigger) Pool() *Pool { return c.Broadcast.pool() }

// Repeatable is false: every send is another entry into the Canvas.
func (*CanvasTrigger) Repeatable() bool { return false }

// AppendBody appends the request's body.
func (c *CanvasTrigger) AppendBody(dst []byte) []byte {
	t := c.trigger()
	return t.append(dst)
}

// Check checks the request and each of its recipients.
func (c *CanvasTrigger) Check() *Violation {
	t := c.trigger()
	return t.check()
}

func (b *Broadcast) pool() *Pool {
	if b.All {
		return PoolBroadcast
	}
	return PoolGeneral
}

func (t *trigger) append(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.text(t.idName, t.id)
	w.text("send_id", t.sendID)
	w.raw(t.propertiesName, t.properties)
	w.flag("broadcast", t.broadcast.All)
	w.raw("audience", t.broadcast.Audience)
	if len(t.recipients) > 0 {
		w.name("recipients")
		w.open('[')
		for i := range t.recipients {
			t.recipients[i].append(&w, t.propertiesName)
		}
		w.close(']')
	}
	if len(t.attachments) > 0 {
		w.name("attachments")
		w.open('[')
		for _, a := range t.attachments {
			w.open('{')
			w.text("file_name", a.FileName)
			w.text("url", a.URL)
			w.close('}')
		}
		w.close(']')
	}
	w.close('}')
	return w.b
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

func (t *trigger) check() *Violation {
	if t.id == "" {
		return &Violation{Field: t.idName, Rule: RuleMissing}
	}
	if v := checkJSON(t.propertiesName, t.properties, MaxTriggerBytes); v != nil {
		return v
	}
	if v := t.broadcast.check("recipients", len(t.recipients)); v != nil {
		return v
	}
	if v := tooMany("recipients", len(t.recipients), mostUsers); v != nil {
		return v
	}
	named := make(map[User]bool, len(t.recipients))
	for i := range t.recipients {
		r, at := &t.recipients[i], indexed("recipients", i)
		if v := r.check(at, t.propertiesName); v != nil {
			return v
		}
		if named[r.User] {
			// Braze sends one message then, with what the last of them says (braze-docs: recipient_object).
			return &Violation{Field: at, Rule: RuleTwice}
		}
		named[r.User] = true
	}
	return t.checkAttachments()
}

func (t *trigger) checkAttachments() *Violation {
	for i, a := range t.attachments {
		at := indexed("attachments", i)
		switch {
		case t.broadcast.All:
			return &Violation{Field: "attachments", Rule: RuleNotAllowed, Detail: "a broadcast carries none"}
		case a.FileName == "":
			return &Violation{Field: at + ".file_name", Rule: RuleMissing}
		case a.URL == "":
			return &Violation{Field: at + ".url", Rule: RuleMissing}
		}
	}
	return nil
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

// indexed is the way to an element: "recipients[3]".
func indexed(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// tooMany checks the length of a list.
func tooMany(field string, n, most int) *Violation {
	if n > most {
		return &Violation{Field: field, Rule: RuleTooManyItems, Detail: strconv.Itoa(most) + " at most"}
	}
	return nil
}

// checkJSON checks a JSON object, or nothing, of whatever content.
func checkJSON(field string, object []byte, maxBytes int) *Violation {
	loose := rules{root: field, maxBytes: maxBytes, maxMembers: maxBytes, loose: true}
	return loose.check(object)
}

package braze

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

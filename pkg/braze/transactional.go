package braze

// TransactionalMessage is a request to /transactional/v1/campaigns/{campaign_id}/send: one message to one
// user, in accounts that have bought it.
type TransactionalMessage struct {
	CampaignID string // of a transactional campaign
	// ExternalSendID makes the send idempotent: for 24 hours a second one with the same sends nothing.
	// It holds letters, digits and - _ + / = only.
	ExternalSendID string
	// Properties are the trigger_properties: a JSON object, or nothing.
	Properties []byte
	User       User // external id or alias
	// Attributes are set on the user, who is created by them: a JSON object, or nothing. Only
	// first_name, last_name and email are set before the message is made.
	Attributes []byte
}

// Endpoint is [TransactionalSend].
func (*TransactionalMessage) Endpoint() *Endpoint { return TransactionalSend }

// Path names the campaign.
func (m *TransactionalMessage) Path() string { return TransactionalSend.At(m.CampaignID) }

// Items is 1.
func (*TransactionalMessage) Items() int { return 1 }

// Repeatable is true, for 24 hours, of a send with an ExternalSendID.
func (m *TransactionalMessage) Repeatable() bool { return m.ExternalSendID != "" }

// AppendBody appends the request's body.
func (m *TransactionalMessage) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.text("external_send_id", m.ExternalSendID)
	w.raw("trigger_properties", m.Properties)
	w.name("recipient")
	w.open('{')
	m.User.append(&w, "external_user_id")
	w.raw("attributes", m.Attributes)
	w.close('}')
	w.close('}')
	return w.b
}

// Check checks the request.
func (m *TransactionalMessage) Check() *Violation {
	if m.CampaignID == "" || m.CampaignID == "." || m.CampaignID == ".." {
		return &Violation{Field: "campaign_id", Rule: RuleMissing}
	}
	for i := range len(m.ExternalSendID) {
		if !inSendID(m.ExternalSendID[i]) {
			return &Violation{Field: "external_send_id", Rule: RulePattern, Detail: "letters, digits and - _ + / ="}
		}
	}
	if v := checkJSON("trigger_properties", m.Properties, MaxTriggerBytes); v != nil {
		return v
	}
	if v := m.User.check("recipient", "external_id", "user_alias"); v != nil {
		return v
	}
	if v := CheckAttributes(m.Attributes); v != nil {
		v.Field = "recipient." + v.Field
		return v
	}
	return nil
}

// inSendID reports whether a byte may stand in an external_send_id.
func inSendID(c byte) bool {
	switch c {
	case '-', '_', '+', '/', '=':
		return true
	}
	return alphanumeric(c)
}

func alphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// SendID is a request to /sends/id/create, which makes an id by which a send is tracked. Each pair of
// campaign and id counts toward the 100 of a day.
type SendID struct {
	CampaignID string
	SendID     string // empty lets Braze choose
}

// Endpoint is [SendsIDCreate].
func (*SendID) Endpoint() *Endpoint { return SendsIDCreate }

// Path is the endpoint's.
func (*SendID) Path() string { return SendsIDCreate.Path }

// Items is 1.
func (*SendID) Items() int { return 1 }

// Repeatable is true when the id is ours.
func (s *SendID) Repeatable() bool { return s.SendID != "" }

// AppendBody appends the request's body.
func (s *SendID) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.text("campaign_id", s.CampaignID)
	w.text("send_id", s.SendID)
	w.close('}')
	return w.b
}

// Check checks the request.
func (s *SendID) Check() *Violation {
	if s.CampaignID == "" {
		return &Violation{Field: "campaign_id", Rule: RuleMissing}
	}
	return nil
}

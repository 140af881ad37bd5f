package braze

// MessageSend is a request to /messages/send, which sends messages whose content the caller brings.
type MessageSend struct {
	// Messages is a JSON object with a member for each channel: email, sms, push and so on. What each
	// holds is looked into by Braze alone.
	Messages        []byte
	ExternalUserIDs []string // with Aliases, at most 50; they must exist
	Aliases         []Alias
	SegmentID       string
	Broadcast       Broadcast
	CampaignID      string // for the dashboard's statistics; optional
	SendID          string // optional
	// OverrideFrequencyCapping sends even to those who have had enough messages.
	OverrideFrequencyCapping bool
	// RecipientState is which subscription state a recipient must have: "subscribed" when empty.
	RecipientState string
}

// Endpoint is [MessagesSend].
func (*MessageSend) Endpoint() *Endpoint { return MessagesSend }

// Path is the endpoint's.
func (*MessageSend) Path() string { return MessagesSend.Path }

// Items is the number of named recipients.
func (m *MessageSend) Items() int { return len(m.ExternalUserIDs) + len(m.Aliases) }

// Pool is what the send draws from.
func (m *MessageSend) Pool() *Pool { return m.Broadcast.pool() }

// Repeatable is false: every send is another message.
func (*MessageSend) Repeatable() bool { return false }

// AppendBody appends the request's body.
func (m *MessageSend) AppendBody(dst []byte) []byte {
	w := startWriter(dst)
	w.open('{')
	w.flag("broadcast", m.Broadcast.All)
	w.texts("external_user_ids", m.ExternalUserIDs)
	appendAliases(&w, m.Aliases)
	w.text("segment_id", m.SegmentID)
	w.raw("audience", m.Broadcast.Audience)
	w.text("campaign_id", m.CampaignID)
	w.text("send_id", m.SendID)
	w.flag("override_frequency_capping", m.OverrideFrequencyCapping)
	w.text("recipient_subscription_state", m.RecipientState)
	w.raw("messages", m.Messages)
	w.close('}')
	return w.b
}

func appendAliases(w *writer, aliases []Alias) {
	if len(aliases) == 0 {
		return
	}
	w.name("user_aliases")
	w.open('[')
	for i := range aliases {
		aliases[i].append(w)
	}
	w.close(']')
}

// Check checks the request.
func (m *MessageSend) Check() *Violation {
	if len(m.Messages) == 0 {
		return &Violation{Field: "messages", Rule: RuleMissing}
	}
	if v := checkJSON("messages", m.Messages, MaxBody); v != nil {
		return v
	}
	if v := checkJSON("audience", m.Broadcast.Audience, MaxBody); v != nil {
		return v
	}
	switch {
	case m.Items() == 0 && m.SegmentID == "" && len(m.Broadcast.Audience) == 0:
		return &Violation{Field: "external_user_ids", Rule: RuleMissing, Detail: "without segment_id and audience there must be some"}
	case m.Broadcast.All && m.Items() > 0:
		return &Violation{Field: "external_user_ids", Rule: RuleNotAllowed, Detail: "a broadcast names none"}
	case m.Items() == 0 && !m.Broadcast.All:
		return &Violation{Field: "broadcast", Rule: RuleMissing, Detail: "a send to a whole segment or audience must say so"}
	}
	if v := tooMany("external_user_ids", m.Items(), mostUsers); v != nil {
		return v
	}
	switch m.RecipientState {
	case "", "opted_in", "subscribed", "all":
	default:
		return &Violation{Field: "recipient_subscription_state", Rule: RuleNotOneOf, Detail: "opted_in, subscribed, all"}
	}
	users := make([]User, 0, m.Items())
	for _, id := range m.ExternalUserIDs {
		users = append(users, User{ExternalID: id})
	}
	for _, alias := range m.Aliases {
		users = append(users, User{Alias: alias})
	}
	named := make(map[User]bool, len(users))
	for i := range users {
		at := indexed("external_user_ids", i)
		if i >= len(m.ExternalUserIDs) {
			at = indexed("user_aliases", i-len(m.ExternalUserIDs))
		}
		if users[i] == (User{}) {
			return &Violation{Field: at, Rule: RuleMissing}
		}
		if v := users[i].checkValue(at); v != nil {
			return v
		}
		if named[users[i]] {
			return &Violation{Field: at, Rule: RuleTwice}
		}
		named[users[i]] = true
	}
	return nil
}

package routes

// Kind is what an action does. The zero Kind is none, so that a forgotten one cannot pass for a send.
type Kind uint8

// The kinds of action. Event, Commerce and Attributes become objects of /users/track, as does
// Purchase; each of the others is a call of its own.
const (
	_             Kind = iota
	Event              // a custom event
	Commerce           // the recommended ecommerce event that a record of commerce.events stands for
	Attributes         // the record's attributes alone, where no event of it is sent
	Purchase           // a purchase, for accounts that still have them
	Campaign           // an API-triggered campaign
	Canvas             // an API-triggered Canvas
	Transactional      // a transactional campaign, which Braze sends once per ExternalSendID
	Subscription       // a subscription group's new state
	Skip               // nothing is sent
)

var kindNames = [...]string{"", "event", "commerce", "attributes", "purchase", "campaign", "canvas", "transactional", "subscription", "skip"}

// String is the kind's name in a route file.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return ""
}

// Priority is how urgent an action is to the budget that all of them share.
type Priority uint8

// The priorities, live first: it is what an action has when nobody says otherwise. Profile is what
// attributes have that come by themselves, after what happens and before the past.
const (
	Live Priority = iota
	Urgent
	Profile
	Backfill
)

var priorityNames = []string{"live", "transactional", "profile", "backfill"}

// String is the priority's name in a route file.
func (p Priority) String() string { return priorityNames[p] }

// InDoubt is what becomes of an action whose request got no answer.
type InDoubt uint8

// The policies. Unsaid leaves it to BRAZE_IN_DOUBT.
const (
	Unsaid InDoubt = iota
	Resend
	Park
)

var inDoubtNames = []string{"", "resend", "park"}

// String is the policy's name in a route file, and empty when none was given.
func (d InDoubt) String() string { return inDoubtNames[d] }

// Action is one thing to do for a record. Which fields count depends on the Kind.
type Action struct {
	Kind     Kind
	Route    string // the route's name; empty where no route matched
	Priority Priority
	InDoubt  InDoubt

	// AsIs says that an Event keeps the name and the properties of the record.
	AsIs bool
	Name string // of an Event that is not AsIs
	// Properties are an event's or a purchase's properties, a campaign's trigger_properties or a
	// Canvas's context: a JSON object within Braze's documented limits, its numbers exact, or nil.
	Properties []byte
	// Attributes says that the record's attributes go with this Event. Of the events of a record at
	// most one has it.
	Attributes bool
	// ExistingOnly keeps an Event or a Purchase from creating a profile.
	ExistingOnly bool

	ID string // of the campaign or Canvas
	// ExternalSendID is what Braze knows a transactional send again by for 24 hours (braze-docs:
	// post_send_transactional_message): the same however often the record is sent.
	ExternalSendID string

	GroupID string // of a Subscription
	State   string // subscribed or unsubscribed

	ProductID string // of a Purchase
	Currency  string // ISO 4217
	Price     string // a JSON number
	Quantity  int    // 1 to 100

	Reason string // why nothing is sent
}

// AppendJSON appends the action as route files' examples and the command line show it:
// {"campaign":{"id":"…","properties":{…},"priority":"live"},"route":"…"}.
func (a Action) AppendJSON(dst []byte) []byte {
	o := object{dst: append(dst, '{')}
	o.name(a.Kind.String())
	switch {
	case a.Kind == Skip:
		o.dst = appendString(o.dst, a.Reason)
	case a.Kind == Commerce || a.Kind == Attributes || a.AsIs:
		o.dst = appendString(o.dst, asIs)
	default:
		o.dst = a.appendFields(o.dst)
	}
	if a.Route != "" {
		o.text("route", a.Route)
	}
	return append(o.dst, '}')
}

// asIs is what stands for an action that only takes what the record has.
const asIs = "as is"

func (a Action) appendFields(dst []byte) []byte {
	o := object{dst: append(dst, '{')}
	o.text("name", a.Name)
	o.text("id", a.ID)
	o.text("group", a.GroupID)
	o.text("state", a.State)
	o.text("product_id", a.ProductID)
	o.raw("price", []byte(a.Price))
	o.text("currency", a.Currency)
	if a.Quantity > 0 {
		o.raw("quantity", appendValue(nil, a.Quantity))
	}
	o.text("external_send_id", a.ExternalSendID)
	o.raw("properties", a.Properties)
	if a.Attributes {
		o.raw("attributes", []byte("true"))
	}
	if a.ExistingOnly {
		o.raw("existing_only", []byte("true"))
	}
	o.text("priority", a.Priority.String())
	o.text("in_doubt", a.InDoubt.String())
	return append(o.dst, '}')
}

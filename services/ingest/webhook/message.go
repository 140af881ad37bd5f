package webhook

// Message is one thing that a source says: the body, or an element of it. It has outputs, or a reason
// why it has none.
type Message struct {
	Start, End int    // its place in the body
	Kind       string // as the source calls it
	Key        string // idempotency key, fit for a header
	Outputs    []Output
	Skip       string // why nothing comes of it
	Refuse     Reason // why it is to be kept as a dead letter
	Detail     string // of Refuse, for a person
}

// Output is one record to be: JSON in the shape that the API of its target takes.
type Output struct {
	To   Target
	ID   string // its idempotency key, which is in the JSON too
	JSON []byte
}

// Target is where an output goes.
type Target string

// The targets there are, and the paths whose shape an output has.
const (
	Commerce Target = "commerce" // POST /v1/commerce
	Event    Target = "event"    // POST /v1/events
	Profile  Target = "profile"  // POST /v1/profiles
	Case     Target = "case"     // POST /v1/cases
	// Link says who somebody turned out to be, which no path of the API does by itself:
	// {"user", "identified_as", "time"?}.
	Link Target = "link"
	// Content is published as by POST /v1/content, or taken away: with "withdraw": true the item in all its
	// locales ({"collection", "id", "withdraw"}), or with a locale too the record of that one; with
	// "remove": true the item's own record alone, of which there is nothing else.
	Content Target = "content" // POST /v1/content
	// CRM is a change in a system, as by POST /v1/crm/changes, or an object of it that is gone or whose
	// user is known now: with "kind": "deleted" or "linked". It need not name a user.
	CRM Target = "crm"
)

// Targets are all of them.
func Targets() []Target { return []Target{Commerce, Event, Profile, Case, Link, Content, CRM} }

// toDeadLetter is what a program says that finds out by itself that a message cannot be mapped.
const toDeadLetter = "dead_letter"

// Reason is why a message becomes a dead letter.
type Reason string

// The reasons there are.
const (
	Unmappable         Reason = "unmappable"          // it cannot be read, or means nothing that we know
	IdentityUnresolved Reason = "identity_unresolved" // nothing says whom it is about
	UnsupportedVersion Reason = "unsupported_version" // of a form that the source's programs do not know
	WrongMode          Reason = "wrong_mode"          // a test on a live route, or the other way round
	PrivacyRequest     Reason = "privacy_request"     // somebody's data is asked for, or is to go: for a person
	Gap                Reason = "gap"                 // the source has left something out, which must be read again
)

// Reasons are all of them.
func Reasons() []Reason {
	return []Reason{Unmappable, IdentityUnresolved, UnsupportedVersion, WrongMode, PrivacyRequest, Gap}
}

// Reasons for skipping that no file has to name.
const (
	skipUnmapped = "unmapped"      // the kind has no program, and the source says to skip such
	skipNothing  = "nothing_to_do" // the program yields nothing
)

package plan

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// Rules is what the planner asks of writeback.yaml; a *rules.Set answers it.
type Rules interface {
	Target(name string) (rules.Target, bool)
	WantsAction(name string) bool
	WantsType(eventType string) bool
	Action(a *event.Action) ([]rules.Draft, error)
	Engagement(e *event.Engagement) ([]rules.Draft, error)
	Back(c *event.Change) (rules.Back, error)
	Field(target, object, field string) (rules.Field, bool)
	Comparable(dst []byte, target, object, field string, value jsontext.Value) []byte
	Loop() (turns int, within time.Duration)
	LinkWait() time.Duration
}

// core decides what becomes of one record, given what is known of its user. It knows nothing of Kafka, asks nobody for the
// time, and changes nothing but the state that it is given.
type core struct {
	rules   Rules
	judge   judge
	members jsontext.Decoder
	text    bytes.Reader
	scratch []byte
}

func newCore(r Rules, skew time.Duration) *core {
	turns, within := r.Loop()
	return &core{rules: r, judge: judge{skew: skew.Milliseconds(), turns: turns, within: within.Milliseconds()}}
}

// decision is what comes of one record.
type decision struct {
	rows  []crm.Write
	links []event.Change // which object is whose, where that is news
	what  outcome.Outcome
}

// subject is what a record is about: whose key it stands under, and where it stands.
type subject struct {
	key   string
	user  event.User
	cause crm.Cause
	at    time.Time // when it happened, by no clock that is far ahead
}

// settle says what became of the record, of all that its rows say.
func (d *decision) settle(what outcome.Outcome) {
	weight := func(k outcome.Kind) int {
		switch k {
		case outcome.Refused:
			return 3
		case outcome.Delivered:
			return 2
		case outcome.Skipped, outcome.Deferred:
			return 1
		}
		return 0
	}
	if weight(what.Kind) > weight(d.what.Kind) {
		d.what = what
	}
}

// row adds a write, and settles the record accordingly.
func (d *decision) row(w crm.Write) {
	d.rows = append(d.rows, w)
	switch {
	case w.Settled == nil:
		d.settle(outcome.Outcome{Kind: outcome.Delivered})
	case w.Settled.Outcome == outcome.Refused.String():
		d.settle(outcome.Outcome{Kind: outcome.Refused, Reason: w.Settled.Reason, Detail: w.Settled.Detail})
	default:
		d.settle(outcome.Outcome{Kind: outcome.Skipped, Reason: w.Settled.Reason, Detail: w.Settled.Detail})
	}
}

// row begins a write that comes of the subject.
func (s *subject) row(kind, rule, target, object, keyField, key, mode string) crm.Write {
	return crm.Write{
		ID:     writeID(kind, s.cause.Topic, s.cause.EventID, s.key, rule, target, object, keyField, key),
		Target: target, Rule: rule, Object: object, KeyField: keyField, Key: key, Mode: mode,
		User: s.user, EditedAt: s.at, Cause: s.cause,
	}
}

// What a row is for, besides what it says: one record may lead to one of each for an object.
const (
	asked   = "asked"   // a rule, or a person in the CRM, wants it
	upright = "upright" // a side is given back what both are to have
	circled = "circled" // a value that has gone round in a circle
)

// writeID is the same for the same cause, rule and object, however often it is planned.
func writeID(parts ...string) string {
	text := make([]byte, 0, 256)
	for _, p := range parts {
		text = append(strconv.AppendInt(text, int64(len(p)), 10), ':')
		text = append(text, p...)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}

// hash is that of a value's comparable form.
func (c *core) hash(target, object, field string, raw jsontext.Value) uint64 {
	c.scratch = c.rules.Comparable(c.scratch[:0], target, object, field, raw)
	return xxhash.Sum64(c.scratch)
}

var errNoObject = errors.New("they are no JSON object")

// each walks through the members of a JSON object.
func (c *core) each(object jsontext.Value, visit func(name string, value jsontext.Value)) error {
	if object.Kind() != '{' {
		return errNoObject
	}
	c.text.Reset(object)
	c.members.Reset(&c.text)
	if _, err := c.members.ReadToken(); err != nil {
		return err
	}
	for c.members.PeekKind() == '"' {
		name, err := c.members.ReadToken()
		if err != nil {
			return err
		}
		field := name.String()
		value, err := c.members.ReadValue()
		if err != nil {
			return err
		}
		visit(field, value)
	}
	_, err := c.members.ReadToken()
	return err
}

// fieldSet is a JSON object in the making.
type fieldSet struct{ text []byte }

func (s *fieldSet) add(name string, value []byte) {
	if len(s.text) == 0 {
		s.text = append(s.text, '{')
	} else {
		s.text = append(s.text, ',')
	}
	s.text, _ = jsontext.AppendQuote(s.text, name) // what is not UTF-8 is replaced
	s.text = append(append(s.text, ':'), value...)
}

func (s *fieldSet) empty() bool { return len(s.text) == 0 }

func (s *fieldSet) json() jsontext.Value {
	if s.empty() {
		return nil
	}
	return append(s.text, '}')
}

// why gathers why fields are left out; the weightiest reason is the row's.
type why struct {
	reason string
	field  string
	weight int
}

// Reasons of what is settled when it is planned, the weightiest first.
var reasons = [...]string{"loop", "conflict", "owned_by_crm", "echo", "stale", "consent", "unchanged"}

func (w *why) add(reason, field string) {
	for i, known := range reasons {
		if weight := len(reasons) - i; known == reason && weight > w.weight {
			*w = why{reason, field, weight}
		}
	}
}

func (w *why) settled() *crm.Settled {
	if w.reason == "" {
		return &crm.Settled{Outcome: outcome.Skipped.String(), Reason: rules.NothingToWrite}
	}
	return &crm.Settled{Outcome: outcome.Skipped.String(), Reason: w.reason, Detail: "field " + w.field}
}

// conflict names both values, as far as they are known and not too long, and the rule that decided.
func conflict(field string, ours, theirs string, winner side, owner rules.Owner) crm.Conflict {
	const most = 4 << 10 // a row has its fields besides
	value := func(text string) jsontext.Value {
		if text == "" || len(text) > most {
			return jsontext.Value("null")
		}
		return jsontext.Value(text)
	}
	return crm.Conflict{Field: field, Ours: value(ours), Theirs: value(theirs), Winner: winner.String(), Rule: string(owner)}
}

// way is the path of a value, oldest first, for a person.
func (f *field) way() []string {
	lines := make([]string, len(f.path))
	for i, p := range f.path {
		lines[i] = p.side.String() + " " + strconv.FormatUint(p.hash>>32, 16) + " " +
			time.UnixMilli(p.at).UTC().Format("2006-01-02T15:04:05.000Z") + " " + p.event
	}
	return lines
}

package rules

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"
	"unicode/utf8"

	"github.com/sluicehq/sluice/pkg/event"
)

// Failed says that a rule's program did not work on a record, or answered what cannot be written.
type Failed struct {
	Rule string // name of the rule; empty where the record itself cannot be read
	Part string // key of the rule or of its object: if, set, key
	Err  error
}

// Error is one line.
func (f *Failed) Error() string {
	if f.Rule == "" {
		return f.Err.Error()
	}
	return fmt.Sprintf("rule %s: %s: %v", f.Rule, f.Part, f.Err)
}

// Unwrap is what went wrong.
func (f *Failed) Unwrap() error { return f.Err }

// Action says what an action writes, in the order of the rules; none where no rule wants it. The error is a *[Failed]: the
// record is to be refused with the reason "rule_failed", for half of what it should have written is a mistake that
// nobody would find.
func (s *Set) Action(a *event.Action) ([]Draft, error) {
	return s.drafts(onActions, a.Name, a.User, a.OccurredAt, func() (any, error) { return actionInput(a) })
}

// Engagement is Action of an engagement.
func (s *Set) Engagement(e *event.Engagement) ([]Draft, error) {
	return s.drafts(onEngagements, e.Type, e.User, e.OccurredAt, func() (any, error) { return engagementInput(e) })
}

func (s *Set) drafts(on int, name string, user event.User, edited time.Time, read func() (any, error)) ([]Draft, error) {
	var in any
	var list []Draft
	var r run
	defer r.end()
	for _, rule := range s.rules[on] {
		if !rule.names.fit(name) {
			continue
		}
		if in == nil {
			var err error
			if in, err = read(); err != nil {
				return nil, &Failed{Err: err}
			}
		}
		d, wanted, err := rule.draft(&r, in)
		if err != nil {
			return nil, err
		}
		if wanted {
			d.User, d.EditedAt = user, edited
			list = append(list, d)
		}
	}
	return list, nil
}

func (rule *rule) draft(r *run, in any) (d Draft, wanted bool, err error) {
	if rule.when != nil {
		if wanted, err = rule.when.true(r, in); err != nil || !wanted {
			return d, false, rule.failed("if", err)
		}
	}
	d = Draft{Rule: rule.name, Target: rule.target, Object: rule.object, Mode: rule.mode}
	if rule.of != nil {
		d.KeyField = rule.of.keyField
		v, _, err := rule.of.key.one(r, in)
		if err == nil {
			d.Key, err = keyText(v)
		}
		if err != nil {
			return d, false, rule.failed("key", err)
		}
		if d.Key == "" {
			d.Skip = NoKey
			return d, true, nil
		}
	}
	v, _, err := rule.set.one(r, in)
	if err != nil {
		return d, false, rule.failed("set", err)
	}
	fields, ok := v.(map[string]any)
	if v != nil && !ok {
		return d, false, rule.failed("set", errors.New("it answers what is no object"))
	}
	if err := rule.encode(&d, fields); err != nil {
		return d, false, rule.failed("set", err)
	}
	return d, true, nil
}

// encode puts the fields into the draft, without the key, which stands beside them.
func (rule *rule) encode(d *Draft, fields map[string]any) error {
	if _, there := fields[d.KeyField]; there && d.KeyField != "" {
		rest := make(map[string]any, len(fields))
		for name, v := range fields {
			if name != d.KeyField {
				rest[name] = v
			}
		}
		fields = rest
	}
	for name := range fields {
		if name == "" || !utf8.ValidString(name) {
			return errors.New("the name of a field is empty or no text")
		}
	}
	switch {
	case len(fields) == 0:
		d.Skip = NothingToWrite
		return nil
	case len(fields) > mostFields:
		return fmt.Errorf("it answers more than %d fields", mostFields)
	}
	text, err := encode(make([]byte, 0, 256), fields)
	if err == nil && len(text) > largestFields {
		err = errLarge
	}
	d.Fields = text
	return err
}

// failed names the rule; nil stays nil.
func (rule *rule) failed(part string, err error) error {
	if err == nil {
		return nil
	}
	return &Failed{Rule: rule.name, Part: part, Err: err}
}

// longestKey is that of Salesforce's external ids, 255, and of everybody else's as well.
const longestKey = 255

// keyText is a key's value; empty for null, and for nothing.
func keyText(v any) (text string, err error) {
	switch v := v.(type) {
	case nil:
	case string:
		text = v
	case json.Number:
		text = string(v)
	case int, *big.Int:
		text = fmt.Sprint(v)
	default:
		return "", errors.New("it answers what is neither a text nor a whole number")
	}
	switch {
	case len(text) > longestKey:
		return "", fmt.Errorf("it answers more than %d bytes", longestKey)
	case !utf8.ValidString(text):
		return "", errors.New("it answers what is no text")
	}
	return text, nil
}

package brazefake

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// form is an object of a body taken apart. What is wrong with it is noted once and asked for at the end.
type form struct {
	at      string // the way to it, with a dot, or nothing
	members map[string][]byte
	problem string
}

// read takes an object apart. Members that are not among the names are noted as bad manners: Braze may
// well ignore them, and somebody has made a mistake.
func (s *Sandbox) read(c *call, at string, object []byte, names ...string) *form {
	f := &form{at: at, members: dictionary(object)}
	if len(object) == 0 || object[0] != '{' {
		f.fail("'%s' must be an object", strings.TrimSuffix(at, "."))
	}
	for name := range f.members {
		if !slices.Contains(names, name) {
			s.violations.add(fmt.Sprintf("request %d to %s has a member that is not documented: %q", c.number, c.endpoint.Path, at+name))
		}
	}
	return f
}

func (f *form) fail(format string, args ...any) {
	if f.problem == "" {
		f.problem = fmt.Sprintf(format, args...)
	}
}

// bad is the refusal of the whole call, where anything was wrong.
func (f *form) bad() reply {
	if f.problem == "" {
		return reply{}
	}
	return fatal(http.StatusBadRequest, f.problem)
}

func (f *form) has(name string) bool {
	value := f.members[name]
	return len(value) > 0 && !isNull(value)
}

// text is a member that is a string; empty when it is not there.
func (f *form) text(name string) string {
	if !f.has(name) {
		return ""
	}
	text, ok := jsonscan.String(f.members[name])
	if !ok {
		f.fail("'%s' must be a string", f.at+name)
	}
	return string(text)
}

// needed is a string that must be there.
func (f *form) needed(name string) string {
	text := f.text(name)
	if text == "" {
		f.fail("'%s' is required", f.at+name)
	}
	return text
}

// oneOf is a string that must be one of those, or not be there where empty is among them.
func (f *form) oneOf(name string, words ...string) string {
	text := f.text(name)
	if !slices.Contains(words, text) {
		f.fail("'%s' must be one of %s", f.at+name, strings.Trim(strings.Join(words, ", "), ", "))
	}
	return text
}

// list is a member that is an array.
func (f *form) list(name string) [][]byte {
	if !f.has(name) {
		return nil
	}
	if f.members[name][0] != '[' {
		f.fail("'%s' must be an array", f.at+name)
		return nil
	}
	return list(f.members[name])
}

// texts is a member that is an array of strings, none of them empty; a single string is one too where
// the documentation has it so.
func (f *form) texts(name string, orSingle bool) (out []string) {
	if orSingle && f.has(name) && f.members[name][0] == '"' {
		return []string{f.needed(name)}
	}
	for i, element := range f.list(name) {
		text, ok := jsonscan.String(element)
		if !ok || len(text) == 0 {
			f.fail("'%s[%d]' must be a string that is not empty", f.at+name, i)
		}
		out = append(out, string(text))
	}
	return out
}

// object is a member that is an object of at most that many bytes.
func (f *form) object(name string, most int) []byte {
	if !f.has(name) {
		return nil
	}
	value := f.members[name]
	if value[0] != '{' {
		f.fail("'%s' must be an object", f.at+name)
	}
	if len(value) > most {
		f.fail("'%s' is larger than %d bytes", f.at+name, most)
	}
	return value
}

// boolean is a member that is true or false; without it, the default.
func (f *form) boolean(name string, otherwise bool) bool {
	if !f.has(name) {
		return otherwise
	}
	switch string(f.members[name]) {
	case "true":
		return true
	case "false":
		return false
	}
	f.fail("'%s' must be true or false", f.at+name)
	return otherwise
}

// most refuses a list that is too long.
func (f *form) most(name string, n, limit int) {
	if n > limit {
		f.fail("The max number of %s per request was exceeded: %d, allowed are %d", name, n, limit)
	}
}

// target is how a call names a user.
type target struct {
	who   identity
	rules []string // of prioritization
}

// target reads who is named in a form, by exactly one of the kinds; names of kinds are those of
// /users/track, externalID is what external_id is called here. An address must come with a
// prioritization where it is asked for.
func (f *form) target(externalID string, prioritized bool, kinds ...string) (t target) {
	n := 0
	for _, kind := range kinds {
		name := kind
		if kind == "external_id" {
			name = externalID
		}
		if !f.has(name) {
			continue
		}
		n++
		t.who.read(kind, f.members[name])
		if (kind == "email" || kind == "phone") && f.members[name][0] != '"' {
			f.fail("'%s' must be a string", f.at+name)
		}
	}
	switch {
	case n == 0:
		f.fail("%s must have one of %s", f.where(), strings.Join(kinds, ", "))
	case n > 1:
		f.fail("%s must have only one of %s", f.where(), strings.Join(kinds, ", "))
	case t.who.refusal != "":
		f.fail("%s: %s", f.where(), t.who.refusal)
	case t.who.email != "" && !validEmail(t.who.email):
		f.fail("%s: EMAIL_BAD_FORMAT", f.where())
	}
	t.rules = f.texts("prioritization", false)
	address := t.who.email != "" || t.who.phone != ""
	if prioritized && address && len(t.rules) == 0 {
		f.fail("%s: 'prioritization' is required", f.where())
	}
	identified, unidentified := slices.Contains(t.rules, string(braze.Identified)), slices.Contains(t.rules, string(braze.Unidentified))
	if identified && unidentified {
		f.fail("%s: identified and unidentified are mutually exclusive", f.where())
	}
	for _, rule := range t.rules {
		switch braze.Prioritization(rule) {
		case braze.Identified, braze.Unidentified, braze.MostRecentlyUpdated, braze.LeastRecentlyUpdated:
		default:
			f.fail("%s: %q is no prioritization", f.where(), rule)
		}
	}
	return t
}

func (f *form) where() string {
	if f.at == "" {
		return "the request"
	}
	return "'" + strings.TrimSuffix(f.at, ".") + "'"
}

// success is the body of an answer that has a message and whatever else.
func success(members ...string) []byte {
	body := []byte(`{`)
	for i := 0; i < len(members); i += 2 {
		body = append(append(append(body, '"'), members[i]...), `":`...)
		body = append(append(body, members[i+1]...), ',')
	}
	return append(body, `"message":"success"}`...)
}

// quoted is a string in JSON.
func quoted(s string) string { return string(braze.AppendString(nil, s)) }

// indexed is the way to an element, with a dot: "recipients[3].".
func indexed(list string, i int) string { return fmt.Sprintf("%s[%d].", list, i) }

package webhook

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/itchyny/gojq"

	"github.com/sluicehq/sluice/pkg/jsontree"
)

// ActionSpec is one webhook of a campaign or Canvas as a file describes it, where the conventions of the
// front door are not enough. Programs are jq, and see what those of a source see; source is the action's
// name. What a program yields replaces the convention, also where it yields nothing.
type ActionSpec struct {
	// Dedup is the idempotency key: text, or an array of its parts. Where a part is missing, what came
	// is its own key, as it is without any.
	Dedup string `yaml:"dedup"`
	// Identity yields {"external_id", "braze_id", "alias": {"label", "name"}, "email", "phone"}, any of them.
	Identity string `yaml:"identity"`
	// Time yields a time of RFC 3339, or a number of seconds or milliseconds since 1970.
	Time string `yaml:"time"`
	// Functions are definitions that the programs share.
	Functions string `yaml:"functions"`
	// Repeats is how long the same bytes are the same action, where nothing else says which it is: 30m,
	// the span of Braze's retries (braze-docs: webhooks). With 0s no two are the same.
	Repeats *time.Duration `yaml:"repeats"`
	// KeyQuery is the parameter of the URL that may hold the API key, for callers that can set no header.
	KeyQuery string `yaml:"key_query"`
}

// Action is how to read one webhook of a campaign or Canvas.
type Action struct {
	name               string
	spec               ActionSpec
	dedup, who, moment *program
}

const (
	usualRepeats   = 30 * time.Minute
	longestRepeats = 24 * time.Hour
)

// Repeats is how long the same bytes are the same action.
func (a *Action) Repeats() time.Duration {
	if a.spec.Repeats == nil {
		return usualRepeats
	}
	return *a.spec.Repeats
}

// KeyQuery names the parameter of the URL that may hold the API key; empty for none.
func (a *Action) KeyQuery() string { return a.spec.KeyQuery }

// Says reports which of an action's particulars its entry speaks for, and the conventions do not.
func (a *Action) Says() (id, user, at bool) {
	return a.dedup != nil, a.who != nil, a.moment != nil
}

// Query is the URL's parameters without the API key.
func (a *Action) Query(u *url.URL) url.Values {
	q := u.Query()
	if a.spec.KeyQuery != "" {
		q.Del(a.spec.KeyQuery)
	}
	return q
}

// Told is what an action's webhook says.
type Told struct {
	// JSON says that the body is JSON, and can go on as that.
	JSON bool
	// Body is its value: of JSON with numbers as they were sent, of a form its fields, else the text; nil
	// for what is neither, and for JSON beyond all measure.
	Body any
	// ID, User and Time are what the programs yield, fit for a header the first.
	ID         string
	User, Time any
}

// Read reads one webhook. The error is of a program, and what the others yield stands beside it.
func (a *Action) Read(ctx context.Context, r *Request) (Told, error) {
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	var t Told
	t.Body, t.JSON = bodyOf(r)
	if a.dedup == nil && a.who == nil && a.moment == nil {
		return t, nil
	}
	headers := map[string]any{}
	for _, h := range visible(r.Header, nil) {
		headers[h.Name] = h.Value
	}
	input := map[string]any{
		"headers": headers, "query": flat(a.Query(r.URL)), "body": t.Body, "method": r.Method,
		"received_at": r.Received.UTC().Format(time.RFC3339Nano), "source": a.name,
	}
	first := func(p *program) (any, error) {
		if p == nil {
			return nil, nil
		}
		return p.first(ctx, nil, input)
	}
	id, badID := first(a.dedup)
	parts, notParts := partsOf(id)
	if a.dedup != nil && !slices.Contains(parts, "") {
		t.ID = fitID(strings.Join(parts, "/"))
	}
	var badUser, badTime error
	t.User, badUser = first(a.who)
	t.Time, badTime = first(a.moment)
	return t, errors.Join(badID, notParts, badUser, badTime)
}

// bodyOf is the body as a value, and whether it is JSON. A name that an object has twice does not make it
// anything else: the last one counts.
func bodyOf(r *Request) (value any, isJSON bool) {
	if jsontext.Value(r.Body).IsValid(jsontext.AllowDuplicateNames(true)) {
		if value, err := jsontree.Read(r.Body, jsontree.Options{Duplicates: true}); err == nil {
			return value, true
		}
		return nil, true
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err == nil && kind == "application/x-www-form-urlencoded" {
		if form, err := readForm(r.Body); err == nil {
			return form, false
		}
	}
	if len(r.Body) == 0 || !utf8.Valid(r.Body) {
		return nil, false
	}
	return string(r.Body), false
}

// partsOf are the parts of an idempotency key, empty where one is missing.
func partsOf(v any) ([]string, error) {
	parts, several := v.([]any)
	if !several {
		parts = []any{v}
	}
	texts := make([]string, len(parts))
	for i, p := range parts {
		text, err := idText(p)
		if err != nil {
			return texts, fmt.Errorf("dedup: %w", err)
		}
		texts[i], _ = text.(string)
	}
	return texts, nil
}

// Action is how to read the webhook of that name: as its entry says, or as the conventions do where it has
// none. It is never nil.
func (s *Sources) Action(name string) *Action {
	if s != nil {
		if a := s.actions[name]; a != nil {
			return a
		}
	}
	return &Action{name: name}
}

// buildActions compiles a file's actions over those that are built in: an entry replaces the one of its name
// as a whole.
func buildActions(specs, shipped map[string]ActionSpec) (map[string]*Action, error) {
	all := maps.Clone(shipped)
	if all == nil {
		all = map[string]ActionSpec{}
	}
	maps.Copy(all, specs)
	actions := map[string]*Action{}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(all)) {
		a, err := newAction(name, all[name])
		if err != nil {
			problems = append(problems, within("actions."+name, err))
			continue
		}
		actions[name] = a
	}
	return actions, errors.Join(problems...)
}

func newAction(name string, spec ActionSpec) (*Action, error) {
	a := &Action{name: name, spec: spec}
	// Without anything to recall: who wants to join webhooks has a source for that.
	c := compiler{options: append(functions(newMemory(1, time.Minute)), gojq.WithVariables([]string{"$settings"}))}
	c.define("prelude", prelude)
	c.define("functions", spec.Functions)
	a.dedup, a.who, a.moment = c.program("dedup", spec.Dedup), c.program("identity", spec.Identity), c.program("time", spec.Time)
	if !isSourceName(name) {
		c.problems = append(c.problems, problem("", "a name of 1 to 64 letters, digits, dots, dashes or underscores"))
	}
	if r := a.Repeats(); r < 0 || r > longestRepeats {
		c.problems = append(c.problems, problem("repeats", "from 0s to 24h"))
	}
	if spec.KeyQuery != "" && !isSourceName(spec.KeyQuery) {
		c.problems = append(c.problems, problem("key_query", "the name of a parameter: letters, digits, dots, dashes or underscores"))
	}
	return a, errors.Join(c.problems...)
}

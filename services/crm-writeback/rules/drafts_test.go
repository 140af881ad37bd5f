package rules_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"
)

// crm is a file with one rule, of which the test says the rest.
func crm(rule string) string {
	return `
targets:
  - name: crm
    kind: salesforce
    objects:
      - {object: Contact, key: {field: Ext__c}}
      - {object: Lead, key: {field: Mail__c, from: '.user.email | ascii_downcase'}}
rules:
  - {name: r, on: actions, target: crm, object: Contact, ` + rule + `}
`
}

func said(name, payload string) *event.Action {
	return &event.Action{ID: "a-1", Name: name, User: event.User{ExternalID: "u1"}, OccurredAt: noon, JSON: []byte(payload)}
}

// drafted is a draft without what is the same of all.
func drafted(fields string) rules.Draft {
	return rules.Draft{Rule: "r", Target: "crm", Object: "Contact", KeyField: "Ext__c", Key: "u1", Mode: "upsert", Fields: []byte(fields), EditedAt: noon, User: event.User{ExternalID: "u1"}}
}

func skipped(why string) rules.Draft {
	d := drafted("")
	d.Fields, d.Skip = nil, why
	if why == rules.NoKey {
		d.Key = ""
	}
	return d
}

func TestAnActionIsWhatItsRuleSets(t *testing.T) {
	t.Parallel()
	lead := func(key string) rules.Draft {
		d := drafted(`{"a":1}`)
		d.Object, d.KeyField, d.Key, d.User = "Lead", "Mail__c", key, event.User{Email: "A@b.example"}
		return d
	}
	note := drafted(`{"text":"hello"}`)
	note.Mode, note.Object, note.KeyField, note.Key = "note", "Task", "", ""
	for name, c := range map[string]struct {
		rule   string
		action *event.Action
		want   []rules.Draft
	}{
		"names sorted, digits kept":      {`set: '{z: .payload.id, a: .payload.price, m: null}'`, said("form", `{"id":820982911946154508,"price":12.50}`), []rules.Draft{drafted(`{"a":12.50,"m":null,"z":820982911946154508}`)}},
		"the key is not a field":         {`set: '{Ext__c: "other", a: 1}'`, said("form", `{}`), []rules.Draft{drafted(`{"a":1}`)}},
		"nothing but the key":            {`set: '{Ext__c: "other"}'`, said("form", `{}`), []rules.Draft{skipped(rules.NothingToWrite)}},
		"an empty object":                {`set: '{}'`, said("form", `{}`), []rules.Draft{skipped(rules.NothingToWrite)}},
		"null":                           {`set: .payload.none`, said("form", `{}`), []rules.Draft{skipped(rules.NothingToWrite)}},
		"no answer":                      {`set: empty`, said("form", `{}`), []rules.Draft{skipped(rules.NothingToWrite)}},
		"a name that is not meant":       {`names: [form], set: '{a: 1}'`, said("survey", `{}`), nil},
		"a name with a star":             {`names: ["form-*-de"], set: '{a: 1}'`, said("form-drive-de", `{}`), []rules.Draft{drafted(`{"a":1}`)}},
		"a condition that does not hold": {`if: .payload.topics != null, set: '{a: 1}'`, said("form", `{"topics":null}`), nil},
		"a condition without an answer":  {`if: ".payload.topics[]", set: '{a: 1}'`, said("form", `{"topics":[]}`), nil},
		"a body that is text":            {`set: '{a: .payload}'`, &event.Action{Name: "form", User: event.User{ExternalID: "u1"}, OccurredAt: noon, Body: []byte("a=1")}, []rules.Draft{drafted(`{"a":"a=1"}`)}},
		"a body that is no text":         {`set: '{a: .payload}'`, &event.Action{Name: "form", User: event.User{ExternalID: "u1"}, OccurredAt: noon, Body: []byte{0xff}}, []rules.Draft{drafted(`{"a":"/w=="}`)}},
		"no body":                        {`set: '{a: .payload}'`, &event.Action{Name: "form", User: event.User{ExternalID: "u1"}, OccurredAt: noon}, []rules.Draft{drafted(`{"a":null}`)}},
		"what there is beside the body":  {`set: '{t: .time, i: .id, n: .name, u: .user}'`, said("form", `{}`), []rules.Draft{drafted(`{"i":"a-1","n":"form","t":"2026-03-02T12:00:00Z","u":{"external_id":"u1"}}`)}},
		"a user without the key": {`set: '{a: 1}'`, &event.Action{Name: "form", User: event.User{Email: "a@b.example"}, OccurredAt: noon}, func() []rules.Draft {
			d := skipped(rules.NoKey)
			d.User = event.User{Email: "a@b.example"}
			return []rules.Draft{d}
		}()},
		"a key by jq": {`set: '{a: 1}'}` + "\n  - {name: l, on: actions, target: crm, object: Lead, set: '{a: 1}'", &event.Action{Name: "form", User: event.User{Email: "A@b.example"}, OccurredAt: noon}, nil},
		"a note of an object that the file does not have": {`mode: note, set: '{text: "hello"}', if: "true"`, said("form", `{}`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := crm(c.rule)
			switch name {
			case "a key by jq":
				d := lead("a@b.example")
				d.Rule = "l"
				skip := skipped(rules.NoKey)
				skip.User = event.User{Email: "A@b.example"}
				c.want = []rules.Draft{skip, d}
			case "a note of an object that the file does not have":
				file = strings.ReplaceAll(file, "target: crm, object: Contact", "target: crm, object: Task")
				c.want = []rules.Draft{note}
			}
			got, err := parse(t, file).Action(c.action)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAProgramThatFailsIsNamedAndNothingIsWritten(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for name, c := range map[string]struct{ rule, payload, want string }{
		"set that cannot add":     {`set: '{a: (.payload.n + 1)}'`, `{"n":"x"}`, `rule r: set: cannot add: string ("x") and number (1)`},
		"set that is no object":   {`set: .payload`, `[1]`, `rule r: set: it answers what is no object`},
		"set that answers twice":  {`set: '{a: .payload[]}'`, `[1,2]`, `rule r: set: it answers more than one value`},
		"a condition that fails":  {`if: .payload.a.b, set: '{a: 1}'`, `{"a":"text"}`, `rule r: if: expected an object but got: string ("text")`},
		"a number without end":    {`set: '{a: infinite}'`, `{}`, `rule r: set: a number is infinite or none at all`},
		"an endless program":      {`set: '[repeat(.)] | {}'`, `{}`, `rule r: set: it takes longer than 1s`},
		"more than may be":        {`set: '{a: ("x" * 300000)}'`, `{}`, `rule r: set: the fields are larger than 262144 bytes together`},
		"more fields than may be": {`set: '[range(501) | {"f\(.)": 1}] | add'`, `{}`, `rule r: set: it answers more than 500 fields`},
		"a field without a name":  {`set: '{"": 1}'`, `{}`, `rule r: set: the name of a field is empty or no text`},
		"a payload that is none":  {`set: '{a: 1}'`, `{"a":`, `reading payload: reading JSON: jsontext: unexpected EOF within "/a" after offset 5`},
		"a payload that is deep":  {`set: '{a: 1}'`, strings.Repeat("[", 100), `reading payload: reading JSON: values are nested too deeply`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := parse(t, crm(c.rule)).Action(said("form", c.payload))
			if _, ok := errors.AsType[*rules.Failed](err); !ok || got != nil {
				t.Fatalf("got %v beside %v, want an error alone", got, err)
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, c := range map[string]struct{ from, want string }{
		"a key that is too long":      {`'"` + long + `"'`, `rule r: key: it answers more than 255 bytes`},
		"a key that is an object":     {`.user`, `rule r: key: it answers what is neither a text nor a whole number`},
		"a key that is half a number": {`'1.5'`, `rule r: key: it answers what is neither a text nor a whole number`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := strings.Replace(crm(`set: '{a: 1}'`), "key: {field: Ext__c}", "key: {field: Ext__c, from: "+c.from+"}", 1)
			if _, err := parse(t, file).Action(said("form", `{}`)); err == nil || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestALoopInAProgramEndsInTime(t *testing.T) {
	t.Parallel()
	set := parse(t, crm(`set: '[repeat(.)] | {}'`))
	began := time.Now()
	if _, err := set.Action(said("form", `{}`)); err == nil {
		t.Error("an endless program has an answer")
	}
	if took := time.Since(began); took > rules.Patience+10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestTheFilesOwnRulesAreWhatTheySay(t *testing.T) {
	t.Parallel()
	set := rules.Default()
	of := func(kind, properties string) *event.Engagement {
		return &event.Engagement{ID: "e-1", Type: kind, User: event.User{ExternalID: "48213"}, OccurredAt: noon, JSON: []byte(`{"properties":` + properties + `}`)}
	}
	type row struct{ Rule, Target, Object, Key, Mode, Fields string }
	for name, c := range map[string]struct {
		action *event.Action
		event  *event.Engagement
		want   []row
	}{
		"a form": {form(), nil, []row{
			{"form", "crm", "Contact", "48213", "upsert", `{"Email":"mira.osei@example.com","FirstName":"Mira","LastName":"Osei"}`},
			{"form-note", "hubspot", "contacts", "48213", "note", `{"hs_note_body":"Form form-test-drive: {\"dealer\":820982911946154508,\"email\":\"mira.osei@example.com\",\"first_name\":\"Mira\",\"last_name\":\"Osei\",\"phone\":\"\"}"}`},
		}},
		"preferences": {said("preferences", `{"email":"no","topics":["news","offers"]}`), nil, []row{
			{"preference", "crm", "Contact", "u1", "update", `{"HasOptedOutOfEmail":true}`},
			{"preference-topics", "hubspot", "contacts", "u1", "update", `{"topics":"news;offers"}`},
		}},
		"preferences that say nothing": {said("preferences", `{}`), nil, nil},
		"an unsubscribe": {nil, of("users.messages.email.Unsubscribe", `{}`), []row{
			{"unsubscribe", "crm", "Contact", "48213", "update", `{"HasOptedOutOfEmail":true}`},
			{"unsubscribe-hubspot", "hubspot", "contacts", "48213", "update", `{"hs_email_optout":true}`},
			{"unsubscribe-loyalty", "loyalty", "members", "48213", "update", `{"email_opt_in":false}`},
		}},
		"a global state": {nil, of("users.behaviors.subscription.GlobalStateChange", `{"channel":"email","subscription_status":"Opted In"}`), []row{
			{"subscription-state", "crm", "Contact", "48213", "update", `{"HasOptedOutOfEmail":false}`},
		}},
		"a state of another channel": {nil, of("users.behaviors.subscription.GlobalStateChange", `{"channel":"push","subscription_status":"Opted In"}`), nil},
		"a hard bounce":              {nil, of("users.messages.email.Bounce", `{}`), []row{{"hard-bounce", "hubspot", "contacts", "48213", "update", `{"braze_email_status":"hard_bounce"}`}}},
		"a conversion": {nil, of("users.campaigns.Conversion", `{"campaign_name":"Spring"}`), []row{
			{"conversion", "crm", "Task", "", "note", `{"ActivityDate":"2026-03-02","Status":"Completed","Subject":"Converted: Spring","Who":{"Braze_External_Id__c":"48213","attributes":{"type":"Contact"}}}`},
		}},
		"a click":        {nil, click(), []row{{"click", "crm", "Contact", "48213", "update", `{"Last_Braze_Click__c":"2026-03-02T12:00:00Z"}`}}},
		"an open":        {nil, of("users.messages.email.Open", `{}`), nil},
		"another action": {said("survey", `{}`), nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var drafts []rules.Draft
			var err error
			wanted := false
			if c.action != nil {
				drafts, err = set.Action(c.action)
				wanted = set.WantsAction(c.action.Name)
			} else {
				drafts, err = set.Engagement(c.event)
				wanted = set.WantsType(c.event.Type)
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(drafts) > 0 && !wanted {
				t.Error("it is not wanted, and written all the same")
			}
			var got []row
			for _, d := range drafts {
				got = append(got, row{d.Rule, d.Target, d.Object, d.Key, d.Mode, string(d.Fields)})
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if set.WantsAction("survey") || set.WantsType("users.messages.email.Open") {
		t.Error("what no rule is about is wanted")
	}
}

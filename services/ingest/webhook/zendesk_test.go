package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// zendeskPublic is the secret that Zendesk signs with before a webhook is saved, and that everybody knows.
const zendeskPublic = "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="

func zendeskCall(secret, timestamp, body string, received time.Time) *webhook.Request {
	h := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(h, "%s%s", timestamp, body)
	return call(body, received, "X-Zendesk-Webhook-Signature", base64.StdEncoding.EncodeToString(h.Sum(nil)), "X-Zendesk-Webhook-Signature-Timestamp", timestamp)
}

func TestZendeskSignsTheTextOfItsHeader(t *testing.T) {
	source := shipped(t, map[string]string{"ZENDESK_WEBHOOK_SECRETS": "old, new"}).Find("zendesk")
	const now = "2026-01-01T00:00:05Z"
	old := signedAt.Add(5*time.Minute + time.Nanosecond)
	for _, c := range []struct {
		name, secret, timestamp, body string
		received                      time.Time
		want                          error // nil to be taken, errAny for any other
	}{
		{"as Zendesk does", "new", now, "{}", signedAt, nil},
		{"with the other secret", "old", now, "{}", signedAt, nil},
		{"an empty body", "new", now, "", signedAt, nil},
		{"a fraction of a second, which must not be read and written again", "new", "2026-01-01T00:00:05.000Z", "{}", signedAt, nil},
		{"another zone", "new", "2026-01-01T01:00:05+01:00", "{}", signedAt, nil},
		{"at the last moment", "new", now, "{}", signedAt.Add(5 * time.Minute), nil},
		{"a moment too late", "new", now, "{}", old, webhook.ErrOld},
		{"too late and by a stranger", "x", now, "{}", old, errAny},
		{"by a stranger", "x", now, "{}", signedAt, errAny},
		{"with nothing", "", now, "{}", signedAt, errAny},
		{"with the public secret", zendeskPublic, now, "{}", signedAt, errAny},
		{"with what the public secret stands for", "this_secret_is_for_testing_only", now, "{}", signedAt, errAny},
		{"no time", "new", "", "{}", signedAt, errAny},
		{"a time in seconds", "new", "1767225605", "{}", signedAt, errAny},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := source.Verify(zendeskCall(c.secret, c.timestamp, c.body, c.received))
			switch {
			case errors.Is(c.want, errAny) && (err == nil || errors.Is(err, webhook.ErrOld)), !errors.Is(c.want, errAny) && !errors.Is(err, c.want):
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	other := zendeskCall("new", now, "{}", signedAt)
	other.Header.Set("X-Zendesk-Webhook-Signature-Timestamp", "2026-01-01T00:00:05.0Z")
	if source.Verify(other) == nil {
		t.Error("the same moment in another text was taken, which is not what was signed")
	}
}

var errAny = errors.New("any error but that of a signature that is too old")

func TestASecretThatEverybodyKnowsIsRefusedAtStart(t *testing.T) {
	text, err := shippedText()
	if err != nil {
		t.Fatal(err)
	}
	file := func(string) ([]byte, error) { return []byte("mine\n" + zendeskPublic + "\n"), nil }
	for _, c := range []struct {
		name string
		env  map[string]string
	}{
		{"alone", map[string]string{"ZENDESK_WEBHOOK_SECRETS": zendeskPublic}},
		{"among others", map[string]string{"ZENDESK_WEBHOOK_SECRETS": "mine, " + zendeskPublic}},
		{"in a file", map[string]string{"ZENDESK_WEBHOOK_SECRETS_FILE": "/run/secrets/zendesk"}},
	} {
		o := options(c.env)
		o.ReadFile = file
		_, err := webhook.Parse(text, o)
		if err == nil || !strings.Contains(err.Error(), "ZENDESK_WEBHOOK_SECRETS") || strings.Contains(err.Error(), zendeskPublic) {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestTheToleranceIsConfigured(t *testing.T) {
	presets, err := shippedText()
	if err != nil {
		t.Fatal(err)
	}
	o := options(map[string]string{"DESK_SECRETS": "s"})
	o.Presets = presets
	sources, err := webhook.Parse([]byte("sources:\n  desk:\n    preset: zendesk\n    auth: {secret_env: DESK_SECRETS, tolerance: 20m}\n    settings: {bad: 0}\n"), o)
	if err != nil {
		t.Fatal(err)
	}
	source := sources.Find("desk")
	if err := source.Verify(zendeskCall("s", "2026-01-01T00:00:05Z", "{}", signedAt.Add(19*time.Minute))); err != nil {
		t.Error(err)
	}
	if source.Ack().RetryAfter != 30*time.Second {
		t.Errorf("it asks to be called again after %s", source.Ack().RetryAfter)
	}
	r := sample(t, "testdata/zendesk/csat_bad.http")
	if got := string(source.Translate(t.Context(), r)[0].Outputs[0].JSON); !strings.Contains(got, `"rating":0`) {
		t.Errorf("its own setting was not used: %s", got)
	}
}

// TestTheTextsOfTicketsStayThere looks at all that is made of the samples for what somebody wrote, and for
// whoever is not the requester.
func TestTheTextsOfTicketsStayThere(t *testing.T) {
	source := shipped(t, nil).Find("zendesk")
	samples, err := os.ReadDir("testdata/zendesk")
	if err != nil {
		t.Fatal(err)
	}
	outputs := 0
	for _, file := range samples {
		if !strings.HasSuffix(file.Name(), ".http") {
			continue
		}
		for _, m := range source.Translate(t.Context(), sample(t, "testdata/zendesk/"+file.Name())) {
			for _, o := range m.Outputs {
				outputs++
				for _, kept := range []string{"damaged", "box", "call me", "kind", "damage", "Mira Osei", "8447388090001", "INCIDENT"} {
					if strings.Contains(string(o.JSON), kept) {
						t.Errorf("%s: %q goes on in %s", file.Name(), kept, o.JSON)
					}
				}
			}
		}
	}
	if outputs < 35 {
		t.Errorf("only %d outputs", outputs)
	}
}

// TestZendeskInWordsOfItsOwn gives the programs what a hostile, or a changed, Zendesk may send.
func TestZendeskInWordsOfItsOwn(t *testing.T) {
	source := shipped(t, nil).Find("zendesk")
	event := func(kind, detail, change string) string {
		return `{"type":"zen:event-type:` + kind + `","id":"e","account_id":1,"time":"2026-03-02T09:15:04Z","detail":` + detail + `,"event":` + change + `}`
	}
	const ticket = `{"id":"7","status":"OPEN","requester_id":"8"}`
	for _, c := range []struct{ name, body, want string }{
		{"nothing", "", "unmappable: reading JSON: EOF"},
		{"no object", "[]", "unmappable: it is neither an event of Zendesk"},
		{"a number", "7", "unmappable: it is neither an event of Zendesk"},
		{"a type that is no text", `{"type":7}`, "unmappable: it is neither an event of Zendesk"},
		{"a type of somebody else", `{"type":"invoice.paid"}`, "unmappable: it is neither an event of Zendesk"},
		{"an event without detail", event("ticket.created", "null", "{}"), "identity_unresolved"},
		{"a detail that is a text", event("ticket.created", `"x"`, "{}"), "unmappable: "},
		{"a ticket without id", event("ticket.created", `{"requester_id":"8"}`, "{}"), `{"event":"opened","id":"1/e","time"`},
		{"an id that is an object", event("ticket.created", `{"id":{},"requester_id":"8"}`, "{}"), "unmappable: "},
		{"an id that is a fraction", event("ticket.created", `{"id":1.5,"requester_id":"8"}`, "{}"), "unmappable: "},
		{"a status that is a number", event("ticket.status_changed", ticket, `{"previous":1,"current":2}`), "unmappable: the ticket has a status"},
		{"a change that is a text", event("ticket.status_changed", ticket, `"SOLVED"`), "unmappable: the ticket has a status"},
		{"a change that is null", event("ticket.priority_changed", ticket, "null"), `{"case_id":"7","event":"updated"`},
		{"a comment that is a text", event("ticket.comment_added", ticket, `{"comment":"hello"}`), "private_comment"},
		{"a comment that is public in words", event("ticket.comment_added", ticket, `{"comment":{"is_public":"true"}}`), "private_comment"},
		{"a rating beyond the scale", event("ticket.csat_received", ticket, `{"satisfaction_score":{"score":99}}`), `{"case_id":"7","event":"rated"`},
		{"a requester by the number nought", event("ticket.created", `{"id":"7","requester_id":0}`, "{}"), "identity_unresolved"},
		{"a time in words", strings.Replace(event("ticket.created", ticket, "{}"), "2026-03-02T09:15:04Z", "yesterday", 1), `{"case_id":"7","event":"opened","id":"1/e","metadata":{"status":"open"},"user"`},
		{"a time that is a number", strings.Replace(event("ticket.created", ticket, "{}"), `"2026-03-02T09:15:04Z"`, "1772442904", 1), `{"case_id":"7","event":"opened","id":"1/e","metadata":{"status":"open"},"user"`},
		{"a role in other words", event("user.created", `{"id":"8","role":"END_USER","external_id":"c"}`, "{}"), `{"id":"link/1/8/c","identified_as":"c"`},
		{"a user without role", event("user.created", `{"id":"8","external_id":"c"}`, "{}"), "staff"},
		{"messages, which are not translated", event("messaging_metric.updated", `{"id":"01H"}`, "{}"), "nothing_to_do"},
		{"a template whose ticket is a text", `{"sluice":"ticket","event":"opened","ticket":"7","requester":{"email":"a@b.at"}}`, "unmappable: "},
		{"a template whose requester is a text", `{"sluice":"ticket","event":"opened","ticket":{"id":"7"},"requester":"a@b.at"}`, "identity_unresolved"},
		{"a template with an address that is none", `{"sluice":"ticket","event":"opened","ticket":{"id":"7"},"requester":{"email":"n/a","id":"8"}}`, `{"case_id":"7","event":"opened"`},
		{"deep nesting", event("ticket.created", strings.Repeat(`{"a":`, 5_000)+"1"+strings.Repeat("}", 5_000), "{}"), "unmappable: reading JSON"},
		{"a name twice", `{"type":"zen:event-type:ticket.created","type":"zen:event-type:user.created"}`, "unmappable: reading JSON: jsontext: duplicate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := meaning(t, source, c.body); !strings.HasPrefix(got, c.want) {
				t.Errorf("got %.300s\nwant %s", got, c.want)
			}
		})
	}
}

// TestTheTemplateThatIsPublishedIsTheOneThatIsRead fills the template of ZENDESK.md as Zendesk would.
func TestTheTemplateThatIsPublishedIsTheOneThatIsRead(t *testing.T) {
	manual, err := os.ReadFile("../ZENDESK.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, found := strings.Cut(string(manual), "```json\n")
	template, _, closed := strings.Cut(block, "```")
	if !found || !closed {
		t.Fatal("ZENDESK.md has no template")
	}
	values := map[string]string{
		"{{ticket.id}}": "35436", "{{ticket.status}}": "Open", "{{ticket.priority}}": "Urgent", "{{ticket.via}}": "Mail",
		"{{ticket.updated_at_with_timestamp}}": "2026-03-02T09:15Z", "{{ticket.requester.id}}": "8447388090494",
		"{{ticket.requester.external_id}}": "cus-48213", "{{ticket.requester.email}}": "mira.osei@example.com",
	}
	for placeholder, value := range values {
		if !strings.Contains(template, placeholder) {
			t.Errorf("the template has no %s", placeholder)
		}
		template = strings.ReplaceAll(template, placeholder, value)
	}
	if strings.Contains(template, "{{") {
		t.Errorf("something is left open in %s", template)
	}
	source := shipped(t, nil).Find("zendesk")
	messages := source.Translate(t.Context(), call(template, signedAt, "X-Zendesk-Account-Id", "22129848"))
	if len(messages) != 1 || len(messages[0].Outputs) != 1 {
		t.Fatalf("got %+v", messages)
	}
	var got map[string]any
	if err := json.Unmarshal(messages[0].Outputs[0].JSON, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"id": "22129848/ticket/35436/opened/Open/2026-03-02T09:15Z/-/Urgent", "case_id": "35436", "event": "opened", "severity": "urgent", "channel": "Mail",
		"time": "2026-03-02T09:15:00Z", "metadata": map[string]any{"status": "open"},
		"user": map[string]any{"external_id": "cus-48213", "email": "mira.osei@example.com"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the case (-want +got):\n%s", diff)
	}
}

// TestAPriorityThatIsRaisedOpensNothingThatIsSolved changes the priority of tickets in every state, as of one
// save that changed their state a moment before.
func TestAPriorityThatIsRaisedOpensNothingThatIsSolved(t *testing.T) {
	source := shipped(t, map[string]string{"ZENDESK_WEBHOOK_SECRETS": "new"}).Find("zendesk")
	text, err := os.ReadFile("testdata/zendesk/priority_urgent.http")
	if err != nil {
		t.Fatal(err)
	}
	_, event, _ := strings.Cut(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n\n")
	trigger := `{"sluice":"ticket","event":"escalated","ticket":{"id":"35436","status":"Open","priority":"Urgent","updated_at":"2026-03-02T09:15:04Z"},"requester":{"id":"5"}}`
	for _, c := range []struct{ status, event, trigger string }{
		{"open", "escalated", "escalated"},
		{"new", "escalated", "escalated"},
		{"hold", "escalated", "escalated"},
		{"pending", "escalated", "escalated"},
		{"solved", "", ""},
		{"closed", "", ""},
		{"deleted", "", ""},
		{"thawing", "updated", "escalated"}, // a trigger's status may be a word of any language; its conditions say what is so
	} {
		for body, want := range map[string]string{
			strings.Replace(event, `"status": "OPEN"`, `"status": "`+strings.ToUpper(c.status)+`"`, 1): c.event,
			strings.Replace(trigger, "Open", c.status, 1):                                              c.trigger,
		} {
			m := source.Translate(t.Context(), call(body, signedAt, "Content-Type", "application/json"))[0]
			if want == "" {
				if len(m.Outputs) > 0 || m.Skip == "" {
					t.Errorf("%s becomes %d outputs", c.status, len(m.Outputs))
				}
				continue
			}
			if len(m.Outputs) != 1 {
				t.Fatalf("%s: %s %s", c.status, m.Refuse, m.Detail)
			}
			if got := string(m.Outputs[0].JSON); !strings.Contains(got, `"event":"`+want+`"`) || !strings.Contains(got, `"time":"2026-03-02T09:15:04Z"`) {
				t.Errorf("%s: %s", c.status, got)
			}
		}
	}
}

func TestARaisedPriorityIsNoLaterThanItsSaveOrItsEvent(t *testing.T) {
	source := shipped(t, map[string]string{"ZENDESK_WEBHOOK_SECRETS": "new"}).Find("zendesk")
	for saved, want := range map[string]string{
		`"2026-03-02T09:15:04Z"`: "2026-03-02T09:15:04Z", `"2026-03-02T09:14:00Z"`: "2026-03-02T09:14:00Z",
		`"2026-03-02T09:16:00Z"`: "2026-03-02T09:15:04.672Z", `null`: "2026-03-02T09:15:04.672Z", `"soon"`: "2026-03-02T09:15:04.672Z",
	} {
		body := `{"type":"zen:event-type:ticket.priority_changed","id":"e","account_id":1,"time":"2026-03-02T09:15:04.672Z",` +
			`"detail":{"id":"7","status":"OPEN","requester_id":"8","updated_at":` + saved + `},"event":{"previous":"LOW","current":"HIGH"}}`
		m := source.Translate(t.Context(), call(body, signedAt, "Content-Type", "application/json"))[0]
		if len(m.Outputs) != 1 || !strings.Contains(string(m.Outputs[0].JSON), `"time":"`+want+`"`) {
			t.Errorf("saved at %s: %s %s", saved, m.Detail, m.Outputs)
		}
	}
}

func TestTriggersOfOneMinuteThatSayDifferentThingsAreNoRepeats(t *testing.T) {
	source := shipped(t, map[string]string{"ZENDESK_WEBHOOK_SECRETS": "new"}).Find("zendesk")
	body := func(rating, priority, sent string) string {
		return `{"sluice":"ticket","event":"rated","rating":` + rating + `,"ticket":{"id":"7","status":"Solved","priority":` + priority +
			`,"updated_at":"2026-01-01T00:00Z"},"requester":{"id":"5","external_id":"u"}` + sent + `}`
	}
	keys := map[string]string{}
	for _, b := range []string{body(`"bad"`, `"High"`, ""), body(`"good"`, `"High"`, ""), body(`"good"`, `"Low"`, ""), body(`"good"`, `""`, ""), body("7", "null", "")} {
		m := source.Translate(t.Context(), call(b, signedAt, "Content-Type", "application/json"))[0]
		if other := keys[m.Key]; other != "" {
			t.Errorf("one key for %s and %s", other, b)
		}
		keys[m.Key] = b
		again := source.Translate(t.Context(), call(b+" ", signedAt, "Content-Type", "application/json"))[0]
		if again.Key != m.Key {
			t.Errorf("a repeat has another key: %s, %s", m.Key, again.Key)
		}
	}
}

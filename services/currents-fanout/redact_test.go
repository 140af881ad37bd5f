package currentsfanout

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

func redactorOf(how string, fields ...string) *redactor {
	return newRedactor([]Redaction{{Fields: fields, How: how}})
}

func TestNamedFieldsAreMadeUnreadableWhereverTheyStand(t *testing.T) {
	for name, c := range map[string]struct {
		rules     *redactor
		doc, want string
	}{
		"none of them is there":       {redactorOf(Remove, "email"), `{"a": 1.10,  "b":[ ]}`, `{"a": 1.10,  "b":[ ]}`},
		"one is removed":              {redactorOf(Remove, "email"), `{"email":"ann","n":1.10}`, `{"n":1.10}`},
		"at any depth":                {redactorOf(Remove, "email"), `{"p":[{"email":"ann","x":{"email":{"deep":1}}}]}`, `{"p":[{"x":{}}]}`},
		"masked, whatever it is":      {redactorOf(Mask, "email", "ids"), `{"email":"ann","ids":[1,2]}`, `{"email":"[REDACTED]","ids":"[REDACTED]"}`},
		"null stays":                  {redactorOf(Mask, "email"), `{"email":null}`, `{"email":null}`},
		"hashed as a text":            {redactorOf(Hash, "email"), `{"email":"ann"}`, `{"email":"` + hashed([]byte("ann")) + `"}`},
		"the same text escaped":       {redactorOf(Hash, "email"), `{"email":"\u0061nn"}`, `{"email":"` + hashed([]byte("ann")) + `"}`},
		"hashed as a number":          {redactorOf(Hash, "sum"), `{"sum":12.50}`, `{"sum":"` + hashed([]byte("12.50")) + `"}`},
		"a name that is escaped":      {redactorOf(Mask, "email"), `{"\u0065mail":"ann"}`, `{"\u0065mail":"[REDACTED]"}`},
		"twice in one object":         {redactorOf(Remove, "email"), `{"email":1,"email":2,"a":3}`, `{"a":3}`},
		"in a text that is JSON":      {redactorOf(Remove, "email"), `{"props":"{\"email\":\"ann\",\"n\":1.10}"}`, `{"props":"{\"n\":1.10}"}`},
		"a text that is none":         {redactorOf(Remove, "email"), `{"props":"{\"mail\": oh"}`, `{"props":"{\"mail\": oh"}`},
		"a text that is half of one":  {redactorOf(Remove, "email"), `{"props":"{\"email\": oh"}`, `{"props":"[REDACTED]"}`},
		"a text that only has quotes": {redactorOf(Mask, "email"), `{"subject":"\"Hi\" [x] email\nus"}`, `{"subject":"\"Hi\" [x] email\nus"}`},
		"what is behind is kept":      {redactorOf(Remove, "email"), `{"email":1,"big":12345678901234567890.10,"s":"\u00e4\/"}`, `{"big":12345678901234567890.10,"s":"\u00e4\/"}`},
		"a customer's id by a name":   {redactorOf(Mask, "external_id"), `{"user":{"external_user_id":"ann"}}`, `{"user":{"external_user_id":"[REDACTED]"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.rules.document([]byte(c.doc))
			if err != nil || string(got) != c.want {
				t.Errorf("made %s, %v\nwant %s", got, err, c.want)
			}
		})
	}
	if _, err := redactorOf(Mask, "email").document([]byte(`{"email":1`)); err == nil {
		t.Error("half a document passes")
	}
}

func TestColumnsAndTheKeyAreMadeUnreadableLikeTheDocument(t *testing.T) {
	shape := func(r *redactor) sink.Event {
		var e sink.Event
		d := draft{engagement: &event.Engagement{
			ID: "e1", User: event.User{ExternalID: "ann", BrazeID: "b1"}, Type: "x", CampaignName: "Spring", DeviceID: "d1",
			JSON: []byte("{\"id\":\"e1\",\n\"user\":{\"external_user_id\":\"ann\",\"user_id\":\"b1\"}}"),
		}}
		if what := r.shape(&e, ofEngagements, d, "ann"); what.Kind != 0 {
			t.Fatal(what)
		}
		return e
	}
	plain := shape(nil)
	if string(plain.JSON) != `{"id":"e1","user":{"external_user_id":"ann","user_id":"b1"}}` || plain.Key != "ann" {
		t.Errorf("unredacted: %q, key %s", plain.JSON, plain.Key)
	}
	removed := shape(redactorOf(Remove, "external_user_id", "campaign_name"))
	if string(removed.JSON) != `{"id":"e1","user":{"user_id":"b1"}}` || removed.Key != "" || removed.Engagement.User != (event.User{BrazeID: "b1"}) || removed.Engagement.CampaignName != "" || removed.Engagement.DeviceID != "d1" {
		t.Errorf("removed: %s, key %q, %+v", removed.JSON, removed.Key, removed.Engagement)
	}
	hash := shape(redactorOf(Hash, "external_id", "device_id"))
	ann := hashed([]byte("ann"))
	if hash.Key != ann || hash.Engagement.User.ExternalID != ann || !bytes.Contains(hash.JSON, []byte(ann)) || hash.Engagement.DeviceID != hashed([]byte("d1")) {
		t.Errorf("hashed: %s, key %q, %+v", hash.JSON, hash.Key, hash.Engagement)
	}
	if masked := shape(redactorOf(Mask, "user_id")); masked.Key != "ann" || masked.Engagement.User.BrazeID != "[REDACTED]" {
		t.Errorf("masked: key %q, %+v", masked.Key, masked.Engagement)
	}
}

func TestAWebhookIsOneObjectInBrazesWords(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 5e6, time.UTC)
	action := func() draft {
		return draft{action: &event.Action{
			ID: "w1", Name: "form", User: event.User{ExternalID: "ann", Email: "ann@example.com"}, OccurredAt: at, ReceivedAt: at, Source: "braze", Workspace: "eu",
			ContentType: "application/json", JSON: []byte("{\"email\": \"ann@example.com\",\n \"n\": 1.10}"),
		}}
	}
	shape := func(r *redactor, d draft) string {
		var e sink.Event
		if what := r.shape(&e, ofActions, d, "ann"); what.Kind != 0 {
			t.Fatal(what)
		}
		if e.ID != "form/w1" || e.Type != "action.form" || e.Topic != "braze.actions" || e.Engagement != nil {
			t.Errorf("the event is %+v", e)
		}
		return string(e.JSON)
	}
	want := `{"event_type":"action.form","id":"w1","time":1777863721,"received_at":"2026-05-04T03:02:01.005Z","source":"braze","workspace":"eu","user":{"external_user_id":"ann","email":"ann@example.com"},"content_type":"application/json","payload":{"email":"ann@example.com","n":1.10}}`
	if diff := cmp.Diff(want, shape(nil, action())); diff != "" {
		t.Error(diff)
	}
	if got := shape(redactorOf(Remove, "email"), action()); strings.Contains(got, "example.com") {
		t.Errorf("the address is in %s", got)
	}
	text := action()
	text.action.JSON, text.action.Body = nil, []byte("email=ann")
	if got := shape(nil, text); !strings.Contains(got, `"body_base64":"ZW1haWw9YW5u"`) {
		t.Errorf("the body is not in %s", got)
	}
	if got := shape(redactorOf(Remove, "email"), text); strings.Contains(got, "body_base64") {
		t.Errorf("a body in which nobody knows where the address stands is in %s", got)
	}
}

// FuzzRedact: what comes out is JSON, holds no field of that name, and is left alone when it is redacted again.
func FuzzRedact(f *testing.F) {
	f.Add([]byte(`{"email":"ann","p":{"email":[1,{"x":2}],"n":1.10},"s":"{\"email\":\"ann\"}"}`), uint8(0))
	f.Add([]byte(`[{"\u0065mail":null},"{\"a\":\"[\\\"email\\\"]\"}",12345678901234567890]`), uint8(1))
	f.Add([]byte(`{"a":"\ud83d"}`), uint8(2))
	f.Fuzz(func(t *testing.T, doc []byte, how uint8) {
		rules := redactorOf([]string{Remove, Mask, Hash}[how%3], "email")
		got, err := rules.document(bytes.Clone(doc))
		if err != nil {
			return
		}
		if !rules.concerns(doc) {
			if !bytes.Equal(got, doc) {
				t.Errorf("%q became %q although nothing is in it", doc, got)
			}
			return
		}
		if !jsontext.Value(got).IsValid(leave...) {
			t.Errorf("%q became %q, which is no JSON", doc, got)
		}
		if how%3 == 0 && names(t, got)["email"] {
			t.Errorf("%q became %q", doc, got)
		}
		again, err := rules.document(bytes.Clone(got))
		if err != nil || how%3 != 2 && !bytes.Equal(again, got) {
			t.Errorf("%q became %q, and then %q, %v", doc, got, again, err)
		}
	})
}

// names are those of all members of a document.
func names(t *testing.T, doc []byte) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	d := jsontext.NewDecoder(bytes.NewReader(doc), leave...)
	for {
		token, err := d.ReadToken()
		if err != nil {
			return all
		}
		if kind, n := d.StackIndex(d.StackDepth()); kind == '{' && n%2 == 1 && token.Kind() == '"' {
			all[token.String()] = true
		}
	}
}

package currents_test

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
	"github.com/sluicehq/sluice/pkg/event"
)

var lax = jsontext.AllowDuplicateNames(true)

// naive reads an event's ids with jsontext alone, slowly.
func naive(raw []byte) (id, typeName, brazeID, externalID string) {
	dec := jsontext.NewDecoder(bytes.NewReader(raw), lax)
	said := func(v jsontext.Value) string {
		switch v.Kind() {
		case '"':
			text, _ := jsontext.AppendUnquote(nil, v)
			return string(text)
		case '0':
			return string(v)
		}
		return ""
	}
	keep := func(to *string, v jsontext.Value) {
		if s := said(v); s != "" {
			*to = s
		}
	}
	dec.ReadToken()
	for dec.PeekKind() == '"' {
		name, _ := dec.ReadToken()
		key := name.String()
		if key == "user" && dec.PeekKind() == '{' {
			dec.ReadToken()
			for dec.PeekKind() == '"' {
				name, _ := dec.ReadToken()
				key := name.String()
				v, _ := dec.ReadValue()
				switch {
				case said(v) == currents.Redacted:
				case key == "user_id":
					keep(&brazeID, v)
				case key == "external_user_id":
					keep(&externalID, v)
				}
			}
			dec.ReadToken()
			continue
		}
		v, _ := dec.ReadValue()
		switch key {
		case "id":
			keep(&id, v)
		case "event_type":
			keep(&typeName, v)
		}
	}
	return id, typeName, brazeID, externalID
}

// FuzzRead: what is a JSON object is an event, complete and well-formed; its ids are those that jsontext
// finds; nothing else is one.
func FuzzRead(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for n, typ := range currents.Types() {
		if n%10 == 0 {
			f.Add(sample.Event(rng, typ.Name, n))
		}
	}
	for _, seed := range []string{
		click, `{}`, `null`, `{"id":1e400,"id":"\ud800","time":"2026-07-29T09:00:00Z","user":{"user_id":"[REDACTED]"}}`,
		"{\"event_type\":\"\xff\",\"u\\u0073er\":{\"user_id\":-0}}", `{"time":1e3,"user":[{}],"properties":{"time_ms":99999999999999}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		e, err := currents.Read(raw, "ws", arrival)
		if !bytes.Equal(before, raw) {
			t.Fatal("the bytes were changed")
		}
		value := jsontext.Value(raw)
		if ok := value.IsValid(lax, jsontext.AllowInvalidUTF8(true)) && value.Kind() == '{'; ok != (err == nil) {
			t.Fatalf("an object: %t, and yet: %v", ok, err)
		}
		if err != nil {
			return
		}
		if !jsontext.Value(e.JSON).IsValid(lax) {
			t.Errorf("what is kept is not JSON: %q", e.JSON)
		}
		if proper := value.IsValid(lax); proper && !bytes.Equal(e.JSON, bytes.Trim(raw, " \t\r\n")) {
			t.Errorf("what is kept is not what came: %q", e.JSON)
		}
		if e.ID == "" || e.Type == "" || e.Workspace != "ws" || e.Key() == "" {
			t.Errorf("incomplete: %+v", e)
		}
		if year := e.OccurredAt.Year(); year < 1970 || year > 9999 || e.OccurredAt.Nanosecond()%int(time.Millisecond) != 0 {
			t.Errorf("happened at %s", e.OccurredAt)
		}
		id, typeName, brazeID, externalID := naive(e.JSON)
		if id != "" && id != e.ID || typeName != "" && typeName != e.Type || brazeID != e.User.BrazeID || externalID != e.User.ExternalID {
			t.Errorf("jsontext finds %q %q %q %q, Read %q %q %+v", id, typeName, brazeID, externalID, e.ID, e.Type, e.User)
		}
		for _, d := range currents.Drifts(&e) {
			if d.What == "" || len(d.Field) > 200 {
				t.Errorf("odd drift %+v", d)
			}
		}
	})
}

// FuzzBatch: no event of a body that is JSON is lost or changed, and nothing comes out that was not in it.
func FuzzBatch(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `null`, `[]`, `{"events":[` + click + `,{}]}`, `{"events":null,"events":{"a":[]}}`, `{"events":[{"a":"]\\\""}],"x":{"events":[1]}}`,
		`{"event_type":"x"}`, "\xef\xbb\xbf[1,\"a\"]", `{"events":[{"a":1},{"b":2 "c"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		events, err := currents.Batch(body)
		total := 0
		for _, e := range events {
			total += len(e)
			if !bytes.Contains(body, e) || len(e) == 0 {
				t.Errorf("%q is not of the body", e)
			}
		}
		if total > len(body) {
			t.Errorf("%d bytes of events in %d of a body", total, len(body))
		}
		var want [][]byte
		dec := jsontext.NewDecoder(bytes.NewReader(body), lax)
		if !jsontext.Value(body).IsValid(lax) || jsontext.Value(body).Kind() != '{' {
			return
		}
		dec.ReadToken()
		for dec.PeekKind() == '"' {
			name, _ := dec.ReadToken()
			if name.String() != "events" {
				dec.SkipValue()
				continue
			}
			if dec.PeekKind() != '[' {
				return
			}
			dec.ReadToken()
			for dec.PeekKind() != ']' {
				v, _ := dec.ReadValue()
				want = append(want, bytes.Clone(v))
			}
			dec.ReadToken()
		}
		if want == nil {
			return
		}
		if err != nil {
			t.Fatalf("a batch is refused: %v", err)
		}
		if diff := cmp.Diff(want, events); diff != "" {
			t.Errorf("(-jsontext +Batch)\n%s", diff)
		}
	})
}

// FuzzFile: whatever a file holds, it is read or refused, and what comes out are events.
func FuzzFile(f *testing.F) {
	rng := rand.New(rand.NewPCG(1, 1))
	for _, name := range []string{"users.behaviors.Purchase", "users.messages.sms.InboundReceive", "users.messages.whatsapp.Send"} {
		var b bytes.Buffer
		if err := sample.File(&b, name, sample.Event(rng, name, 1), sample.Event(rng, name, 2)); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes(), "event_type="+name+"/x.avro")
		f.Add(b.Bytes()[:b.Len()-20], "")
	}
	f.Add([]byte("Obj\x01\x02\x16avro.schema\x14\"string\"   \x00"), "x")
	f.Fuzz(func(t *testing.T, file []byte, path string) {
		n := 0
		err := currents.ReadFile(bytes.NewReader(file), path, func(e event.Engagement) error {
			n++
			if e.ID == "" || e.Type == "" || !jsontext.Value(e.JSON).IsValid(lax) {
				t.Errorf("record %d is %+v", n, e)
			}
			return nil
		})
		if n > 0 && n > len(file)+1 && err == nil {
			t.Errorf("%d records of a file of %d bytes", n, len(file))
		}
	})
}

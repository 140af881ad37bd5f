package currentsfanout

import (
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestNoTextThatLooksLikeADocumentHidesAField: what cannot be read to its end, or not deeply enough, is masked as a whole.
func TestNoTextThatLooksLikeADocumentHidesAField(t *testing.T) {
	quoted := func(text string, times int) string {
		for range times {
			b, err := jsontext.AppendQuote(nil, text)
			if err != nil {
				t.Fatal(err)
			}
			text = string(b)
		}
		return text
	}
	inner := `{"email":"ann@x","n":1}`
	deep := inner
	for range 8 {
		deep = `{"p":` + quoted(deep, 1) + `}`
	}
	for name, doc := range map[string]string{
		"a lone surrogate in it":      `{"p":"{\"email\":\"ann@x\",\"s\":\"\ud800\"}"}`,
		"a byte that is no UTF-8":     "{\"p\":\"{\\\"email\\\":\\\"ann@x\\\",\\\"s\\\":\\\"\xff\\\"}\"}",
		"one document behind another": `{"p":"{\"email\":\"ann@x\"}\n{\"email\":\"bob@x\"}"}`,
		"a document that was cut off": `{"p":"{\"email\":\"ann@x\",\"n\":1"}`,
		"many documents in another":   deep,
		"a text of a text of one":     `{"p":` + quoted(inner, 2) + `}`,
		"in an array":                 `{"p":["{\"a\":[{\"email\":\"ann@x\"}]}"]}`,
		"white space that JSON lacks": `{"p":"\u00a0{\"email\":\"ann@x\"}"}`,
		"a mark of byte order":        `{"p":"\ufeff{\"email\":\"ann@x\"}"}`,
		"escapes of its own":          `{"p":"{\"\\u0065mail\":\"ann@x\",\"s\":\"\ud800\"}"}`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, how := range []string{Remove, Mask, Hash} {
				got, err := redactorOf(how, "email").document([]byte(doc))
				if err != nil || strings.Contains(string(got), "@x") || !jsontext.Value(got).IsValid(jsontext.AllowInvalidUTF8(true)) {
					t.Errorf("%s made %s, %v", how, got, err)
				}
			}
		})
	}
}

func TestTheKeyOfAnAliasHidesItsLabelToo(t *testing.T) {
	for _, field := range []string{"alias_label", "alias_name"} {
		for _, how := range []string{Remove, Mask, Hash} {
			a := &event.Action{ID: "a1", User: event.User{AliasLabel: "shop", AliasName: "ann"}, Name: "w", JSON: []byte(`{}`)}
			var e sink.Event
			if what := redactorOf(how, field).shape(&e, ofActions, draft{action: a}, a.Key()); what.Kind != 0 {
				t.Fatal(what)
			}
			hidden := map[string]string{"alias_label": "shop", "alias_name": "ann"}[field]
			if strings.Contains(e.Key, hidden) || strings.Contains(string(e.JSON), hidden) {
				t.Errorf("%s of %s: key %q, %s", how, field, e.Key, e.JSON)
			}
		}
	}
}

func TestAnAddressIsHiddenUnderBothOfItsNames(t *testing.T) {
	for _, fields := range [][]string{{"email_address", "phone_number"}, {"email", "phone"}} {
		a := &event.Action{ID: "a1", User: event.User{Email: "ann@x", Phone: "+49123"}, Name: "w", JSON: []byte(`{"email_address":"ann@x","email":"ann@x","phone":"+49123","phone_number":"+49123"}`)}
		var e sink.Event
		if what := redactorOf(Remove, fields...).shape(&e, ofActions, draft{action: a}, a.Key()); what.Kind != 0 {
			t.Fatal(what)
		}
		if all := e.Key + string(e.JSON) + e.Action.User.Email + e.Action.User.Phone; strings.Contains(all, "@x") || strings.Contains(all, "+49") {
			t.Errorf("%v: %s", fields, all)
		}
	}
}

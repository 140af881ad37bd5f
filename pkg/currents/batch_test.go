package currents_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/currents"
)

func TestBatchTakesABodyApart(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       []string
	}{
		{"two events", `{"events":[{"id":"a"},{"id":"b"}]}`, []string{`{"id":"a"}`, `{"id":"b"}`}},
		{"spaces everywhere", " {\n\"events\" : [ {\"id\" : \"a\"} ,\t{} ] } \r\n", []string{`{"id" : "a"}`, `{}`}},
		{"an empty body", ``, nil},
		{"only spaces", " \n\t", nil},
		{"null", `null`, nil},
		{"an object without events", `{}`, nil},
		{"an empty list", `{"events":[]}`, nil},
		{"events that are null", `{"events":null}`, nil},
		{"other members beside", `{"version":1,"events":[{"id":"a"}],"more":{"events":[1]}}`, []string{`{"id":"a"}`}},
		{"events under a name that is there twice", `{"events":[{"id":"a"}],"events":[{"id":"b"}]}`, []string{`{"id":"a"}`, `{"id":"b"}`}},
		{"a name with escapes", `{"\u0065vents":[{"id":"a"}]}`, []string{`{"id":"a"}`}},
		{"an event instead of the list", `{"events":{"id":"a"}}`, []string{`{"id":"a"}`}},
		{"a list without an object", `[{"id":"a"},{"id":"b"}]`, []string{`{"id":"a"}`, `{"id":"b"}`}},
		{"one event alone", ` {"event_type":"t","id":"a"} `, []string{`{"event_type":"t","id":"a"}`}},
		{"a byte order mark", "\xef\xbb\xbf{\"events\":[{}]}", []string{`{}`}},
		{"what is no event is for Read to refuse", `{"events":[1,"x",null,[],{}]}`, []string{`1`, `"x"`, `null`, `[]`, `{}`}},
		{"a broken event spoils no other", `{"events":[{"id":"a"},{"id" "b"},{"id":"c"}]}`, []string{`{"id":"a"}`, `{"id" "b"}`, `{"id":"c"}`}},
		{"brackets and quotes in texts", `{"events":[{"a":"]}\"[{\\"},{"b":"\\\""}]}`, []string{`{"a":"]}\"[{\\"}`, `{"b":"\\\""}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			events, err := currents.Batch([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range events {
				got = append(got, string(e))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestBatchRefusesWhatIsNoBatch(t *testing.T) {
	for _, body := range []string{
		`5`, `"events"`, `true`, `<html>`, `{"events":5}`, `{"events":"x"}`, `{`, `{"events"`, `{"events":`, `{"events":[`, `{"events":[{}`, `{"events":[{}]`,
		`{"events":[{},]}`, `{"events":[{} {}]}`, `{"events":[{}]}}`, `{"events":[{}]}{"events":[]}`, `{"events":[{"a":"x]}`, `{,}`, `{"a" 1}`, `{"a":1,}`, "\x00", "{}\x00", `[}`,
	} {
		if events, err := currents.Batch([]byte(body)); err == nil {
			t.Errorf("%s is a batch of %d", body, len(events))
		}
	}
}

func TestABatchHasALimit(t *testing.T) {
	most := `{"events":[` + strings.Repeat(`1,`, currents.MaxEvents-1) + `1]}`
	if events, err := currents.Batch([]byte(most)); err != nil || len(events) != currents.MaxEvents {
		t.Errorf("%d events, %v", len(events), err)
	}
	if _, err := currents.Batch([]byte(strings.Replace(most, `[`, `[0,`, 1))); !errors.Is(err, currents.ErrTooMany) {
		t.Errorf("one too many: %v", err)
	}
}

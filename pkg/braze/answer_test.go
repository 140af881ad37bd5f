package braze

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseAnswer(t *testing.T) {
	n := [3]int{2, 3, 1}
	tests := []struct {
		name   string
		status int
		body   string
		cut    bool
		want   Answer
	}{
		{
			name: "the usual answer", status: 201,
			body: `{"message":"success","attributes_processed":2,"events_processed":3,"purchases_processed":1}`,
			want: Answer{Message: "success"},
		},
		{
			name: "the usual answer with blanks and its members in another order", status: 201,
			body: "{ \"events_processed\": 3, \"message\": \"success\" }",
			want: Answer{Message: "success"},
		},
		{
			name: "the answer during maintenance", status: 202, body: `{"message":"queued"}`,
			want: Answer{Message: "queued"},
		},
		{
			name: "a refused object", status: 201,
			body: `{"message":"success","events_processed":2,"errors":[{"index":1,"input_array":"events","type":"'time' is not a valid datetime"}]}`,
			want: Answer{Message: "success", Items: []ItemError{{Events, 1, "'time' is not a valid datetime"}}},
		},
		{
			name: "several, in the order of the answer", status: 201,
			body: `{"errors":[{"index":0,"input_array":"purchases","type":"a"},{"index":1,"input_array":"attributes","type":"b"}],"message":"success"}`,
			want: Answer{Message: "success", Items: []ItemError{{Purchases, 0, "a"}, {Attributes, 1, "b"}}},
		},
		{
			name: "an empty list of errors", status: 201, body: `{"message":"success","errors":[]}`,
			want: Answer{Message: "success"},
		},
		{
			name: "no list of errors", status: 201, body: `{"message":"success","errors":null}`,
			want: Answer{Message: "success"},
		},
		{
			name: "one object refused twice is one item", status: 201,
			body: `{"errors":[{"index":1,"input_array":"events","type":"a"},{"index":1,"input_array":"events","type":"b"},{"index":1,"input_array":"events","type":"a"}]}`,
			want: Answer{Items: []ItemError{{Events, 1, "a; b"}}},
		},
		{
			name: "an index out of range is strange", status: 201,
			body: `{"message":"success","errors":[{"index":3,"input_array":"events","type":"a"},{"index":-1,"input_array":"events","type":"a"},{"index":2,"input_array":"events","type":"c"}]}`,
			want: Answer{Message: "success", Items: []ItemError{{Events, 2, "c"}}, Strange: 2},
		},
		{
			name: "an unknown array is strange", status: 201,
			body: `{"message":"success","errors":[{"index":0,"input_array":"event","type":"a"},{"index":0,"type":"a"},{"index":0,"input_array":1}]}`,
			want: Answer{Message: "success", Strange: 3},
		},
		{
			name: "indexes as strings and with fractions of zero are read", status: 201,
			body: `{"errors":[{"index":"1","input_array":"events","type":"a"},{"index":2.0,"input_array":"events","type":"b"}]}`,
			want: Answer{Items: []ItemError{{Events, 1, "a"}, {Events, 2, "b"}}},
		},
		{
			name: "other types of index are strange", status: 201,
			body: `{"errors":[{"index":true,"input_array":"events"},{"index":1.5,"input_array":"events"},{"index":[1],"input_array":"events"},{"index":1e99,"input_array":"events"},{"input_array":"events"},{"index":null,"input_array":"events"}]}`,
			want: Answer{Strange: 6},
		},
		{
			name: "an item without a type has one", status: 201, body: `{"errors":[{"index":1,"input_array":"events"}]}`,
			want: Answer{Items: []ItemError{{Events, 1, "unspecified"}}},
		},
		{
			name: "a type that is no string is quoted", status: 201, body: `{"errors":[{"index":1,"input_array":"events","type":{"code":7}}]}`,
			want: Answer{Items: []ItemError{{Events, 1, `{"code":7}`}}},
		},
		{
			name: "errors that are no list are strange", status: 201, body: `{"message":"success","errors":{"events":"bad"}}`,
			want: Answer{Message: "success", Strange: 1},
		},
		{
			name: "entries that are no objects are strange", status: 201, body: `{"message":"success","errors":["bad",7,null,[]]}`,
			want: Answer{Message: "success", Strange: 4},
		},
		{
			name: "a message that is no string is quoted, and hides nothing", status: 201,
			body: `{"message":{"text":"hm"},"errors":[{"index":1,"input_array":"events","type":"a"}]}`,
			want: Answer{Message: `{"text":"hm"}`, Items: []ItemError{{Events, 1, "a"}}},
		},
		{
			name: "an escaped name is a name", status: 201,
			body: `{"message":"success","\u0065rrors":[{"index":1,"input_array":"events","type":"a"}]}`,
			want: Answer{Message: "success", Items: []ItemError{{Events, 1, "a"}}},
		},
		{name: "acceptance without a body", status: 201, body: ``, want: Answer{Message: "unreadable answer"}},
		{name: "acceptance in HTML", status: 200, body: `<html>login</html>`, want: Answer{Message: "unreadable answer"}},
		{name: "acceptance that is no object", status: 201, body: `["success"]`, want: Answer{Message: "unreadable answer"}},
		{name: "acceptance that breaks off", status: 201, body: `{"message":"succ`, want: Answer{Message: "unreadable answer"}},
		{
			name: "acceptance that was cut in the middle is not trusted in what it says", status: 201, cut: true,
			body: `{"message":"success"}`, want: Answer{Message: "unreadable answer"},
		},
		{
			name: "acceptance with junk after it", status: 201, body: `{"message":"queued"}}`,
			want: Answer{Message: "unreadable answer"},
		},
		{
			name: "a fatal answer with sentences", status: 400,
			body: `{"message":"Max Input Length Exceeded","errors":["events has 76 objects","at most 75"]}`,
			want: Answer{Message: "Max Input Length Exceeded; events has 76 objects; at most 75"},
		},
		{
			name: "a fatal answer that names objects says where to look", status: 400,
			body: `{"message":"no valid objects","errors":[{"index":0,"input_array":"events","type":"bad time"}]}`,
			want: Answer{Message: "no valid objects", Items: []ItemError{{Events, 0, "bad time"}}},
		},
		{
			name: "the answer to what is not JSON", status: 400, body: `{"error":"could not parse the body"}`,
			want: Answer{Message: "could not parse the body"},
		},
		{name: "a fatal answer that says nothing", status: 403, body: `{}`, want: Answer{Message: "Forbidden"}},
		{
			name: "a proxy's page is not quoted", status: 502, body: "<html>\n<h1>Bad Gateway</h1>",
			want: Answer{Message: "unreadable answer: 502 Bad Gateway"},
		},
		{
			name: "a proxy's words are", status: 503, body: "upstream connect error\n  or disconnect",
			want: Answer{Message: "unreadable answer: 503 Service Unavailable: upstream connect error or disconnect"},
		},
		{name: "no body at all", status: 504, want: Answer{Message: "unreadable answer: 504 Gateway Timeout"}},
		{name: "a status nobody knows", status: 999, want: Answer{Message: "unreadable answer: 999"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Answer{Verdict: classify(tt.status, false), Status: tt.status}
			tt.want.Verdict, tt.want.Status = got.Verdict, got.Status
			got.parse([]byte(tt.body), !tt.cut, n)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLongWordsAreCut(t *testing.T) {
	long := strings.Repeat("€", 1000)
	a := Answer{Verdict: Accepted, Status: 201}
	a.parse(fmt.Appendf(nil, `{"message":"%s","errors":[{"index":0,"input_array":"events","type":"%s"}]}`, long, long), true, [3]int{0, 1, 0})
	for _, words := range []string{a.Message, a.Items[0].Type} {
		if len(words) > maxMessage || len(words) < maxMessage-4 || !utf8.ValidString(words) || !strings.HasSuffix(words, "€…") {
			t.Errorf("%d bytes: %q", len(words), words)
		}
	}
}

func TestAHugeListOfErrorsStaysWithinTheRequest(t *testing.T) {
	var list strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&list, `,{"index":%d,"input_array":"events","type":"bad"}`, i%100)
	}
	a := Answer{Verdict: Accepted, Status: 201}
	a.parse([]byte(`{"errors":[`+list.String()[1:]+`]}`), true, [3]int{0, 75, 0})
	if len(a.Items) != 75 || a.Strange != 5000 {
		t.Errorf("%d items and %d strange, want 75 and 5000", len(a.Items), a.Strange)
	}
}

// FuzzParseAnswer holds that whatever is answered, the items point into the request, each object at
// most once, and that the words are short and printable.
func FuzzParseAnswer(f *testing.F) {
	for _, body := range []string{
		`{"message":"success","attributes_processed":2}`,
		`{"message":"success","errors":[{"index":1,"input_array":"events","type":"x"},{"index":1,"input_array":"events","type":"y"}]}`,
		`{"message":7,"error":[],"errors":{"index":"0","input_array":"purchases"}}`,
		`{"errors":[{"index":1e400,"input_array":"attributes","type":"\ud800"}]}`,
		`{"errors":[null,0,"x",[[[[]]]],{"index":-0,"input_array":"events"}]}`,
		"{\"message\":\"\xff\xfe\"}", `<html>`, `{"message":"success"`, ``,
	} {
		f.Add(201, []byte(body), true)
		f.Add(400, []byte(body), true)
	}
	f.Add(503, []byte("\xff  \x00"), false)
	f.Fuzz(func(t *testing.T, status int, body []byte, whole bool) {
		n := [3]int{2, 3, 1}
		a := Answer{Verdict: classify(max(status, 1), false), Status: status}
		a.parse(body, whole, n)
		seen := map[ItemError]bool{}
		for _, item := range a.Items {
			place := ItemError{Array: item.Array, Index: item.Index}
			if item.Array > Purchases || item.Index < 0 || item.Index >= n[item.Array] || seen[place] {
				t.Errorf("item %+v points nowhere, or a second time", item)
			}
			seen[place] = true
			if item.Type == "" || len(item.Type) > maxMessage || !utf8.ValidString(item.Type) {
				t.Errorf("type %q is not fit to be shown", item.Type)
			}
		}
		if len(a.Message) > maxMessage || !utf8.ValidString(a.Message) {
			t.Errorf("message %q is not fit to be shown", a.Message)
		}
		// The quick way for the usual answer must not overlook what the thorough one finds.
		if whole && a.Verdict == Accepted && plainSuccess(body) {
			thorough := Answer{Verdict: Accepted, Status: status}
			thorough.parse(append([]byte{' '}, body...), whole, n)
			if len(thorough.Items) > 0 || thorough.Strange > 0 {
				t.Errorf("overlooked %+v", thorough)
			}
		}
	})
}

func BenchmarkParseAnswer(b *testing.B) {
	for name, body := range map[string]string{
		"success":     `{"message":"success","attributes_processed":20,"events_processed":55}`,
		"one_refused": `{"message":"success","events_processed":54,"errors":[{"index":1,"input_array":"events","type":"'time' is not a valid datetime"}]}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				a := Answer{Verdict: Accepted, Status: 201}
				a.parse([]byte(body), true, [3]int{20, 55, 0})
			}
		})
	}
}

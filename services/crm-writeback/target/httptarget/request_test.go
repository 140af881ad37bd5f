package httptarget

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/jsontree"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

func TestProgramsSeeTheRow(t *testing.T) {
	far := serve(t, always(200, ""))
	r := row("w-1", "m-1", update, `{"points":12345678901234567890,"rate":1.50}`)
	r.User = event.User{ExternalID: "e", BrazeID: "b", AliasLabel: "l", AliasName: "n", Email: "m@x.example", Phone: "+43"}
	open(t, Options{URL: far.URL, Body: "."}).Write(t.Context(), []*target.Row{r})
	var got, want any
	if err := json.Unmarshal(far.got()[0].body, &got); err != nil {
		t.Fatal(err)
	}
	text := `{"id":"w-1","object":"members","key_field":"id","key":"m-1","mode":"update","edited_at":"2026-03-02T09:15:01.476Z",
		"fields":{"points":12345678901234567890,"rate":1.50},
		"user":{"external_id":"e","braze_id":"b","alias":{"label":"l","name":"n"},"email":"m@x.example","phone":"+43"}}`
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || !strings.Contains(string(far.got()[0].body), `12345678901234567890`) {
		t.Error(diff)
	}
}

func TestRowsThatDoNotLeave(t *testing.T) {
	for _, test := range []struct {
		name string
		o    Options
		want string
	}{
		{"no body at all", Options{Body: "null"}, "delivered"},
		{"nothing to write", Options{Body: "empty"}, "skipped nothing_to_write"},
		{"a body that fails", Options{Body: ".fields.a.b.c"}, "refused template_error"},
		{"two bodies", Options{Body: "1, 2"}, "refused template_error"},
		{"a body without an end", Options{Body: `def f: f; f`}, "refused template_error"},
		{"a body that is too long", Options{Body: `"x" * 20000000`}, "refused too_large"},
		{"a form that is none", Options{Body: "[1]", Encoding: "form"}, "refused template_error"},
		{"a path that is no text", Options{Path: ".fields"}, "refused template_error"},
		{"a path that leaves", Options{Path: `"/../" + .key`}, "refused template_error"},
		{"a path elsewhere", Options{Path: `"@evil.example/"`}, "refused template_error"},
		{"a method that is none", Options{Method: `.key | ascii_upcase`}, "refused template_error"},
		{"a method that is one", Options{Method: `if .mode == "update" then "PATCH" else "PUT" end`}, "delivered"},
		{"headers", Options{HeadersFrom: `{"X-User": .user.external_id, "X-None": null, "X-N": 1}`}, "delivered"},
		{"a header on two lines", Options{HeadersFrom: `{"X-User": "a\r\nX-Evil: 1"}`}, "refused template_error"},
		{"a header of ours", Options{HeadersFrom: `{"Host": "evil.example"}`}, "refused template_error"},
		{"headers that are none", Options{HeadersFrom: `"X"`}, "refused template_error"},
	} {
		t.Run(test.name, func(t *testing.T) {
			far := serve(t, always(200, ""))
			test.o.URL = far.URL
			a := open(t, test.o).Write(t.Context(), rows(1, upsert, `{"a":"b"}`))
			if got := fates(a, 1)[0]; got != test.want || a.Halt || a.Split {
				t.Errorf("got %s, want %s (%+v)", got, test.want, a)
			}
			if n := len(far.got()); (n == 1) != (test.want == "delivered") {
				t.Errorf("%d requests", n)
			}
		})
	}
	far := serve(t, always(200, ""))
	a := open(t, Options{URL: far.URL, Batch: Batch{Rows: 2}, Body: `.rows | map(.fields.n / 1)`}).Write(t.Context(), []*target.Row{row("1", "a", upsert, `{"n":1}`), row("2", "b", upsert, `{"n":"x"}`)})
	if !a.Split || a.All.Reason != "template_error" || len(far.got()) != 0 {
		t.Errorf("%+v", a)
	}
}

func TestPathsStayBelowTheURL(t *testing.T) {
	base, err := url.Parse("https://api.example/v1?tenant=a")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/members/m-1":         "https://api.example/v1/members/m-1?tenant=a",
		"/members/":            "https://api.example/v1/members/?tenant=a",
		"/m/a%2Fb%3F%23%20c":   "https://api.example/v1/m/a%2Fb%3F%23%20c?tenant=a",
		"/m?merge=1&x=%26":     "https://api.example/v1/m?tenant=a&merge=1&x=%26",
		"/..a/b..":             "https://api.example/v1/..a/b..?tenant=a",
		"":                     "",
		"members":              "",
		"//evil.example/x":     "",
		"/m/..;/x":             "",
		"/m//x":                "",
		"/../admin":            "",
		"/m/./x":               "",
		"/m/%2e%2E/x":          "",
		"/m/a%2F..%2F..%2Fx":   "",
		"/m/a%5C..%5Cx":        "",
		"/m\\..\\x":            "",
		"/m#x":                 "",
		"/m x":                 "",
		"/m\r\nHost: evil":     "",
		"/Zoë":                 "",
		"/m%zz":                "",
		"/m?a=%zz":             "",
		"https://evil.example": "",
		"@evil.example":        "",
		":80/x":                "",
	} {
		u, err := below(base, path)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q became %s", path, u)
		case want != "" && err != nil:
			t.Errorf("%q: %v", path, err)
		case want != "" && u.String() != want:
			t.Errorf("%q became %s, want %s", path, u, want)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{"/a/b", "//x", "/%2e%2e/", "/a?b=c", "@x", "/a%2F..", "/\\x"} {
		f.Add(seed)
	}
	base, err := url.Parse("https://api.example/v1/")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := below(base, path)
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != "api.example" || again.Scheme != "https" || !strings.HasPrefix(again.EscapedPath(), "/v1/") || again.User != nil {
			t.Fatalf("%q became %s: %v", path, u, err)
		}
		if clean := again.JoinPath(); !strings.HasPrefix(clean.Path, "/v1/") {
			t.Fatalf("%q leads to %s", path, clean)
		}
	})
}

func TestForms(t *testing.T) {
	for _, test := range []struct{ value, want string }{
		{`{}`, ""},
		{`{"b":null,"a":true,"c":"x y&z=é"}`, "a=true&b=&c=x+y%26z%3D%C3%A9"},
		{`{"n":12345678901234567890,"m":1.50}`, "m=1.50&n=12345678901234567890"},
		{`{"billing_address":{"city":"Graz","line":{"1":"x"}}}`, "billing_address[city]=Graz&billing_address[line][1]=x"},
		{`{"items":[{"id":"p1","qty":1},{"id":"p2"}],"tags":["a","b"]}`, "items[id][0]=p1&items[qty][0]=1&items[id][1]=p2&tags[0]=a&tags[1]=b"},
		{`{"a":[[1]]}`, "!"},
		{`{"a":[{"b":[1]}]}`, "!"},
		{`[1]`, "!"},
		{`"x"`, "!"},
	} {
		value, err := jsontree.Read([]byte(test.value), jsontree.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := appendForm(nil, value)
		if plain := strings.NewReplacer("%5B", "[", "%5D", "]").Replace(string(got)); (err != nil) != (test.want == "!") || err == nil && plain != test.want {
			t.Errorf("%s became %s, %v", test.value, plain, err)
		}
	}
}

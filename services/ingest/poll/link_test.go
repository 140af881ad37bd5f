package poll

import (
	"net/url"
	"strings"
	"testing"
)

func TestNextLink(t *testing.T) {
	for name, c := range map[string]struct {
		header []string
		want   string
	}{
		"as most write it":                    {[]string{`<https://a/?page=2>; rel="next", <https://a/?page=9>; rel="last"`}, "https://a/?page=2"},
		"not first":                           {[]string{`<https://a/1>; rel="prev", <https://a/3>; rel="next"`}, "https://a/3"},
		"in several headers":                  {[]string{`<https://a/1>; rel=prev`, `<https://a/3>;rel=next`}, "https://a/3"},
		"commas and semicolons in the target": {[]string{`<https://a/?ids=1,2;3>; title="x, <y>; rel=next"; rel="next"`}, "https://a/?ids=1,2;3"},
		"a quoted comma before":               {[]string{`<a>; title="b\", c"; rel="prev", <d>; rel="next"`}, "d"},
		"several relations, in capitals":      {[]string{`<b>; REL="start NEXT"`}, "b"},
		"only the first rel counts":           {[]string{`<b>; rel="prev"; rel="next"`}, ""},
		"of another resource":                 {[]string{`<b>; rel="next"; anchor="#other"`}, ""},
		"none":                                {[]string{`<b>; rel="last"`}, ""},
		"no header":                           {nil, ""},
		"broken":                              {[]string{`<b; rel="next"`, `;;,=,<`, `<>`}, ""},
		"blanks everywhere":                   {[]string{` < b > ;  rel = "next" `}, "b"},
	} {
		if got := nextLink(c.header); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestANextPageIsWhereTheSourceIs(t *testing.T) {
	base, err := url.Parse("https://crm.example.com/api/contacts?page=1")
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		"?page=2": "https://crm.example.com/api/contacts?page=2", "/x": "https://crm.example.com/x", "https://CRM.example.com/y#z": "https://CRM.example.com/y",
		"http://crm.example.com/x": "", "https://evil.example/": "", "//evil.example/": "", "https://crm.example.com:444/": "", "https://u:p@crm.example.com/": "", ":": "", "%zz": "",
	} {
		if got, err := within(base, address); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", address, got, err, want)
		}
	}
}

func FuzzNextLink(f *testing.F) {
	f.Add(`<https://a/?page=2>; rel="next", <b>; rel=prev`)
	f.Add(`<a>; title="\"; rel=next`)
	f.Add(`<a>;;;=,,rel=next<`)
	f.Fuzz(func(t *testing.T, header string) {
		if got := nextLink([]string{header}); !strings.Contains(header, got) || got != strings.TrimSpace(got) || strings.Contains(got, ">") {
			t.Errorf("%q yields %q", header, got)
		}
	})
}

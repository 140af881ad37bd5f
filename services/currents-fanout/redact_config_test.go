package currentsfanout

import "testing"

func TestAFieldIsRedactedInOneWayOnly(t *testing.T) {
	for name, c := range map[string]struct {
		rules []Redaction
		good  bool
	}{
		"each field once":          {[]Redaction{{[]string{"email", "phone"}, Mask}, {[]string{"gender"}, Hash}}, true},
		"both names of one":        {[]Redaction{{[]string{"email"}, Remove}, {[]string{"email_address"}, Hash}}, true},
		"removed and then hashed":  {[]Redaction{{[]string{"email"}, Remove}, {[]string{"email"}, Hash}}, false},
		"twice in one list":        {[]Redaction{{[]string{"email", "email"}, Remove}}, false},
		"a field without any name": {[]Redaction{{[]string{""}, Remove}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if err := (SinkConfig{Name: "s", Redact: c.rules}).Validate(); (err == nil) != c.good {
				t.Errorf("validating it: %v", err)
			}
		})
	}
	r := newRedactor([]Redaction{{[]string{"email_address"}, Hash}, {[]string{"email"}, Remove}})
	if r.how["email"] != Remove || r.how["email_address"] != Hash {
		t.Errorf("what is said of one name holds for the other: %v", r.how)
	}
}

func TestAFilterNamesSomething(t *testing.T) {
	for name, f := range map[string]Filter{
		"a type": {Types: []string{"a", ""}}, "one it does not get": {NotTypes: []string{""}}, "a campaign": {Campaigns: []string{""}},
		"a Canvas": {Canvases: []string{""}}, "an app": {Apps: []string{""}}, "a workspace": {Workspaces: []string{""}}, "a channel": {Channels: []string{""}},
	} {
		if err := (SinkConfig{Name: "s", Filter: f}).Validate(); err == nil {
			t.Errorf("%s without a name passes, and no event ever does", name)
		}
	}
}

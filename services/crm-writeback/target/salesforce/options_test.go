package salesforce_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/salesforce"
)

func TestOptionsThatAreWrongAreNamed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*salesforce.Options)
		want   string // in the error; "" for none
	}{
		"as they should be":         {func(*salesforce.Options) {}, ""},
		"no URL":                    {func(o *salesforce.Options) { o.URL = "" }, "url"},
		"a URL with a path":         {func(o *salesforce.Options) { o.URL += "/services" }, "url"},
		"the common login host":     {func(o *salesforce.Options) { o.URL = "https://login.salesforce.com" }, "My Domain"},
		"a URL with a password":     {func(o *salesforce.Options) { o.URL = "https://a:hunter2@acme.my.salesforce.com" }, "without credentials"},
		"a version without its v":   {func(o *salesforce.Options) { o.Version = "61.0" }, "version"},
		"a version that is too old": {func(o *salesforce.Options) { o.Version = "v45.0" }, "v46.0"},
		"no secret":                 {func(o *salesforce.Options) { o.Auth.ClientSecret = "" }, "auth.client_secret"},
		"another grant":             {func(o *salesforce.Options) { o.Auth.Grant = "password" }, "auth.grant"},
		"jwt without a key":         {func(o *salesforce.Options) { o.Auth = salesforce.Auth{ConsumerKey: "k", Username: "u"} }, "auth.private_key"},
		"a client with a newline":   {func(o *salesforce.Options) { o.Client = "a\nb" }, "client"},
		"a budget of words":         {func(o *salesforce.Options) { o.Daily.Budget = "most" }, "daily.budget"},
		"a budget of 120%":          {func(o *salesforce.Options) { o.Daily.Budget = "120%" }, "daily.budget"},
		"a budget of 80%":           {func(o *salesforce.Options) { o.Daily.Budget = "80%" }, ""},
		"a budget of calls":         {func(o *salesforce.Options) { o.Daily.Budget = "50000" }, ""},
		"a share without a sign":    {func(o *salesforce.Options) { o.Bulk.Short = "10" }, "bulk.short"},
		"a note in no field":        {func(o *salesforce.Options) { o.Note.Field = "a b" }, "note.field"},
		"a number key of no object": {func(o *salesforce.Options) { o.NumberKeys = []string{"Number__c"} }, "number_keys"},
	} {
		t.Run(name, func(t *testing.T) {
			o := options("https://acme.my.salesforce.com")
			c.change(&o)
			err := o.Validate()
			switch {
			case c.want == "" && err != nil:
				t.Errorf("refused: %v", err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the error %v does not name %s", err, c.want)
			case err != nil && strings.Contains(err.Error(), "hunter2"):
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
}

func TestAKeyThatIsNoneIsSaidWhenOpening(t *testing.T) {
	for _, key := range []string{"nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"} {
		o := options("https://acme.my.salesforce.com")
		o.Auth = salesforce.Auth{ConsumerKey: "k", Username: "u", PrivateKey: config.Secret(key)}
		if _, err := salesforce.Open(t.Context(), o, target.Deps{Name: "crm"}); err == nil || !strings.Contains(err.Error(), "private_key") {
			t.Errorf("opened with the key %q: %v", key, err)
		}
	}
}

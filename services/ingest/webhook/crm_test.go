package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// crmMessage is what a source made of a message, in short.
type crmMessage struct {
	Key, Skip string
	Refuse    webhook.Reason
	Outputs   []string
}

func crmMade(t *testing.T, source, body string, env map[string]string) (all []crmMessage) {
	t.Helper()
	r := &webhook.Request{Method: http.MethodPost, URL: httptest.NewRequest(http.MethodPost, "/v1/hooks/"+source, nil).URL, Header: http.Header{}, Body: []byte(body), Received: arrival}
	for _, m := range shipped(t, env).Find(source).Translate(t.Context(), r) {
		one := crmMessage{Key: m.Key, Skip: m.Skip, Refuse: m.Refuse}
		for _, o := range m.Outputs {
			if o.To != webhook.CRM {
				t.Errorf("an output for %s", o.To)
			}
			one.Outputs = append(one.Outputs, string(o.JSON))
		}
		all = append(all, one)
	}
	return all
}

func fileOf(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/crm/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestHubSpotsNotificationsBecomeChangesInTheOrderInWhichTheyHappened(t *testing.T) {
	got := crmMade(t, "hubspot", fileOf(t, "hubspot.json"), nil)
	key := func(subscription, event, object, property, at string) string {
		return strings.Join([]string{"50687303", subscription, event, object, property, at}, "/")
	}
	change := func(key, object, id, actor, at, more string) string {
		return `{"actor":"` + actor + `",` + more + `"id":"` + key + `","object":"` + object + `","object_id":"` + id + `","system":"hubspot","time":"` + at + `"}`
	}
	creation := key("4849550", "3810573422", "173595202426", "-", "1772442900120")
	stage := key("4849549", "3810573421", "173595202426", "lifecyclestage", "1772442901476")
	optout := key("4849549", "3810573421", "173595202426", "hs_email_optout", "1772442901476")
	gone := key("4849551", "3810573424", "173595202427", "-", "1772442902000")
	merge := key("4849552", "3810573425", "1", "-", "1772442903000")
	company := key("4849553", "3810573426", "9", "name", "1772442904000")
	want := []crmMessage{
		{Key: creation, Skip: "nothing_to_do"},
		{Key: stage, Outputs: []string{change(stage, "contacts", "173595202426", "CRM_UI userId:48213", "2026-03-02T09:15:01.476Z", `"changes":{"lifecyclestage":"customer"},`)}},
		{Key: optout, Outputs: []string{change(optout, "contacts", "173595202426", "INTEGRATION 25681700", "2026-03-02T09:15:01.476Z", `"changes":{"hs_email_optout":""},`)}},
		{Key: gone, Outputs: []string{`{"actor":"CRM_UI","id":"` + gone + `","kind":"deleted","object":"contacts","object_id":"173595202427","system":"hubspot","time":"2026-03-02T09:15:02Z"}`}},
		{Key: merge, Outputs: []string{
			`{"actor":"CRM_UI","id":"` + merge + `","kind":"deleted","object":"contacts","object_id":"1","system":"hubspot","time":"2026-03-02T09:15:03Z"}`,
			`{"actor":"CRM_UI","id":"` + merge + `/1","kind":"deleted","object":"contacts","object_id":"2","system":"hubspot","time":"2026-03-02T09:15:03Z"}`,
		}},
		{Key: company, Outputs: []string{change(company, "companies", "9", "IMPORT", "2026-03-02T09:15:04Z", `"changes":{"name":null},`)}},
		{Key: key("4849554", "3810573427", "5", "-", "1772442905000"), Refuse: webhook.PrivacyRequest},
		{Key: key("4849555", "3810573428", "5", "-", "1772442906000"), Skip: "unmapped"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, m := range crmMade(t, "hubspot", fileOf(t, "hubspot.json"), map[string]string{"HUBSPOT_PORTAL_ID": "1"}) {
		if m.Refuse != webhook.WrongMode && m.Refuse != webhook.PrivacyRequest {
			t.Errorf("of another portal: %+v", m)
		}
	}
}

func TestHubSpotSignsWithWhatItWasToldToCall(t *testing.T) {
	const secret, body = "client-secret", `[{"a":1}]`
	v3 := func(url, at string) http.Header {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("POST" + url + body + at))
		return http.Header{"X-Hubspot-Signature-V3": {base64.StdEncoding.EncodeToString(mac.Sum(nil))}, "X-Hubspot-Request-Timestamp": {at}}
	}
	plain := func(text string) http.Header {
		sum := sha256.Sum256([]byte(text))
		return http.Header{"X-Hubspot-Signature": {hex.EncodeToString(sum[:])}}
	}
	now := strconv.FormatInt(arrival.UnixMilli(), 10)
	old := strconv.FormatInt(arrival.UnixMilli()-300_001, 10)
	const public = "https://door.example.com/v1/hooks/hubspot"
	for _, c := range []struct {
		name   string
		header http.Header
		env    map[string]string
		want   bool
	}{
		{"the public URL", v3(public, now), nil, true},
		{"the inner one", v3("http://10.0.0.1:8080/v1/hooks/hubspot", now), nil, false},
		{"too late", v3(public, old), nil, false},
		{"version 2 without the switch", plain(secret + "POST" + public + body), nil, false},
		{"version 1 without the switch", plain(secret + body), nil, false},
		{"version 2 with the switch", plain(secret + "POST" + public + body), map[string]string{"HUBSPOT_WEBHOOK_LEGACY_SECRETS": secret}, true},
		{"version 1 with the switch", plain(secret + body), map[string]string{"HUBSPOT_WEBHOOK_LEGACY_SECRETS": secret}, true},
		{"no secret in it", plain(body), map[string]string{"HUBSPOT_WEBHOOK_LEGACY_SECRETS": secret}, false},
		{"no signature", http.Header{}, map[string]string{"HUBSPOT_WEBHOOK_LEGACY_SECRETS": secret}, false},
		{"another way to try things out", plain("dev" + body), nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := map[string]string{"HUBSPOT_WEBHOOK_SECRETS": secret, "HUBSPOT_WEBHOOK_PUBLIC_URL": "https://door.example.com/"}
			for name, value := range c.env {
				env[name] = value
			}
			r := httptest.NewRequest(http.MethodPost, "/v1/hooks/hubspot", nil)
			r.Host = "10.0.0.1:8080"
			source := shipped(t, env).Find("hubspot")
			call := &webhook.Request{Method: r.Method, URL: r.URL, Host: r.Host, Header: c.header, Body: []byte(body), Received: arrival}
			if err := source.Verify(call); (err == nil) != c.want {
				t.Errorf("got %v", err)
			}
			for _, h := range source.Headers(call) {
				if strings.HasPrefix(h.Name, "x-hubspot-signature") {
					t.Errorf("a program sees %s", h.Name)
				}
			}
		})
	}
}

const org = "00D5e000000DemoEAG"

func TestAnOutboundMessageIsAChangeForEachNotification(t *testing.T) {
	env := map[string]string{"SALESFORCE_ORGANIZATIONS": "00D000000000001, 00D5e000000DemoEAG"}
	got := crmMade(t, "salesforce", fileOf(t, "outbound.xml"), env)
	want := []crmMessage{{
		Key: org + "/04l5e00000DemoAAJ,04l5e00000DemoBAB",
		Outputs: []string{
			`{"actor":"0055e00000Demo3AAC","changes":{"Email":"mira.osei@example.com","HasOptedOutOfEmail":"true","LastModifiedById":"0055e00000Demo3AAC",` +
				`"LastModifiedDate":"2026-03-02T09:15:04.000Z","Title":null},"id":"00D5e000000DemoEAG/04l5e00000DemoAAJ","object":"Contact","object_id":"0035e00000Demo9AAF",` +
				`"system":"crm","time":"2026-03-02T09:15:04.000Z"}`,
			`{"changes":{"LastName":"Osei \u0026 Söhne"},"id":"00D5e000000DemoEAG/04l5e00000DemoBAB","object":"Contact","object_id":"0017000000Lg8WhAAJ","system":"crm"}`,
		},
	}}
	for i := range got {
		for j := range got[i].Outputs {
			got[i].Outputs[j] = strings.ReplaceAll(got[i].Outputs[j], "&", `\u0026`)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, env := range map[string]map[string]string{"the sandbox, which this is not": {"SALESFORCE_ORGANIZATIONS": "00D000000000001"}, "another": {"SALESFORCE_ORGANIZATIONS": "00D000000000001AAA"}} {
		if got := crmMade(t, "salesforce", fileOf(t, "outbound.xml"), env); len(got) != 1 || got[0].Refuse != webhook.WrongMode || got[0].Outputs != nil {
			t.Errorf("where %s may send: %+v", name, got)
		}
	}
}

func TestASessionIDIsSeenByNobody(t *testing.T) {
	const token = "00D!AQ-live-token"
	for name, element := range map[string]string{
		"as it comes":                "<SessionId>" + token + "</SessionId>",
		"with a prefix":              `<a:SessionId xmlns:a="x">` + token + "</a:SessionId>",
		"with attributes":            `<SessionId xsi:type="string" >` + token + "</SessionId >",
		"with a > in a value":        `<SessionId a="x/>">` + token + "</SessionId>",
		"as CDATA":                   "<SessionId><![CDATA[" + token + "]]></SessionId>",
		"within another":             "<SessionId><x>" + token + "</x></SessionId>",
		"without an end":             "<SessionId>" + token,
		"broken off":                 "<SessionId " + token,
		"behind one that is nothing": `<SessionId xsi:nil="true"/><Other>kept</Other><SessionId>` + token + "</SessionId>",
		"in another encoding":        "<SessionId>\xff" + token + "</SessionId>",
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte("<notifications><OrganizationId>" + org + "</OrganizationId>" + element + "</notifications>")
			length := len(body)
			r := &webhook.Request{Method: http.MethodPost, URL: httptest.NewRequest(http.MethodPost, "/v1/hooks/salesforce", nil).URL, Header: http.Header{}, Body: body, Received: arrival}
			for _, m := range shipped(t, nil).Find("salesforce").Translate(t.Context(), r) {
				if strings.Contains(m.Detail, "AQ-live") || len(m.Outputs) > 0 {
					t.Errorf("got %+v", m)
				}
			}
			if strings.Contains(string(r.Body), "AQ-live") || len(r.Body) != length {
				t.Errorf("a dead letter would keep %s", r.Body)
			}
			if strings.Contains(element, "kept") && !strings.Contains(string(r.Body), "<Other>kept</Other>") {
				t.Errorf("too much is blotted out: %s", r.Body)
			}
		})
	}
}

func TestADocumentTypeIsNotTaken(t *testing.T) {
	env := map[string]string{"SALESFORCE_ORGANIZATIONS": org}
	for _, head := range []string{
		`<!DOCTYPE a [<!ENTITY x "boom">]>`, `<!DOCTYPE a SYSTEM "http://example.com/a.dtd">`,
	} {
		got := crmMade(t, "salesforce", head+fileOf(t, "outbound.xml"), env)
		if len(got) != 1 || got[0].Refuse != webhook.Unmappable {
			t.Errorf("%s: %+v", head, got)
		}
	}
	bomb := strings.Replace(fileOf(t, "outbound.xml"), "mira.osei@example.com", "&x;", 1)
	if got := crmMade(t, "salesforce", bomb, env); len(got) != 1 || got[0].Refuse != webhook.Unmappable {
		t.Errorf("an entity: %+v", got)
	}
}

func TestChangeEventsAreOneChangeForEachRecord(t *testing.T) {
	got := crmMade(t, "salesforce-events", fileOf(t, "changes.json"), nil)
	const at = `"time":"2026-03-02T09:15:04Z"}`
	want := []crmMessage{
		{Key: "t-0/1", Outputs: []string{`{"actor":"0055e00000Demo3AAC","id":"t-0/1/0035e00000Demo7AAF","kind":"deleted","object":"Contact","object_id":"0035e00000Demo7AAF","system":"crm","time":"2026-03-02T09:15:03Z"}`}},
		{Key: "t-1/1", Outputs: []string{
			`{"actor":"0055e00000Demo3AAC client=astro","changes":{"FirstName":"Mira","HasOptedOutOfEmail":true,"LastName":"Osei","MailingCity":"Graz","Points__c":9007199254740993,"Title":null},` +
				`"id":"t-1/1/0035e00000Demo9AAF","object":"Contact","object_id":"0035e00000Demo9AAF","system":"crm",` + at,
			`{"actor":"0055e00000Demo3AAC client=astro","changes":{"FirstName":"Mira","HasOptedOutOfEmail":true,"LastName":"Osei","MailingCity":"Graz","Points__c":9007199254740993,"Title":null},` +
				`"id":"t-1/1/0035e00000Demo8AAF","object":"Contact","object_id":"0035e00000Demo8AAF","system":"crm",` + at,
		}},
		{Key: "t-2/1", Refuse: webhook.Gap},
		{Key: "t-3/1", Refuse: webhook.Gap},
		{Key: "t-4/1", Refuse: webhook.Unmappable},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	relayed := crmMade(t, "salesforce-events", `{"detail-type":"ContactChangeEvent","detail":{"payload":{"ChangeEventHeader":{"entityName":"Contact","recordIds":["0035e00000Demo9AAF"],`+
		`"changeType":"UPDATE","transactionKey":"t","sequenceNumber":2,"commitTimestamp":1772442904000,"commitUser":"0055e00000Demo3AAC"},"Title":"Dr"}}}`, nil)
	if len(relayed) != 1 || len(relayed[0].Outputs) != 1 || relayed[0].Key != "t/2" {
		t.Errorf("by EventBridge: %+v", relayed)
	}
}

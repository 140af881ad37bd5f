package salesforcefake_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
)

// FuzzBodies: whatever is sent, the org answers, and what it says it has stored can be read.
func FuzzBodies(f *testing.F) {
	f.Add(uint8(0), records("Contact", key("a", `"LastName":"x","Account":{"attributes":{"type":"Account"},"Account_Number__c":"A-1"}`)))
	f.Add(uint8(1), records("Contact", `"LastName":"x","Last_Braze_Click__c":"2026-03-02T09:15:04Z"`))
	f.Add(uint8(2), records("Task", `"id":"00T","Who":{}`))
	f.Add(uint8(3), `{"LastName":"x","Birthdate":"2026-03-02","Last_Score__c":1e300}`)
	f.Add(uint8(4), `SELECT Id FROM Contact WHERE LastName IN ('a\'b', 'c')`)
	f.Add(uint8(5), "Braze_External_Id__c,Contact:Who.x,Last_Score__c\na,b,1\n")
	f.Fuzz(func(t *testing.T, way uint8, body string) {
		org, err := salesforcefake.New(salesforcefake.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer org.Close()
		ask := func(method, path, kind, token, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
			r.Header.Set("Content-Type", kind)
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			org.ServeHTTP(w, r)
			return w
		}
		var token struct {
			Access string `json:"access_token"`
		}
		form := ask(http.MethodPost, "/services/oauth2/token", "application/x-www-form-urlencoded", "", "grant_type=client_credentials&client_id=sandbox&client_secret=sandbox")
		if err := json.Unmarshal(form.Body.Bytes(), &token); err != nil {
			t.Fatal(err)
		}
		const data = "application/json"
		var w *httptest.ResponseRecorder
		switch way % 6 {
		case 0:
			w = ask(http.MethodPatch, root+"/composite/sobjects/Contact/Braze_External_Id__c", data, token.Access, body)
		case 1:
			w = ask(http.MethodPost, root+"/composite/sobjects", data, token.Access, body)
		case 2:
			w = ask(http.MethodPatch, root+"/composite/sobjects", data, token.Access, body)
		case 3:
			w = ask(http.MethodPatch, root+"/sobjects/Contact/Member_Number__c/7", data, token.Access, body)
		case 4:
			w = ask(http.MethodGet, root+"/query?q="+url.QueryEscape(body), data, token.Access, "")
		case 5:
			const job = root + "/jobs/ingest/7505e0000000001AAA"
			ask(http.MethodPost, root+"/jobs/ingest", data, token.Access, `{"operation":"upsert","object":"Contact","externalIdFieldName":"Braze_External_Id__c"}`)
			ask(http.MethodPut, job+"/batches", "text/csv", token.Access, body)
			ask(http.MethodPatch, job, data, token.Access, `{"state":"UploadComplete"}`)
			ask(http.MethodGet, job, data, token.Access, "")
			w = ask(http.MethodGet, job, data, token.Access, "")
		}
		if text := w.Body.Bytes(); len(text) > 0 && text[0] != '<' && !jsontext.Value(text).IsValid() {
			t.Errorf("%d %s", w.Code, text)
		}
		for _, object := range []string{"Contact", "Task"} {
			for _, r := range org.Records(object) {
				if text := r.JSON(); !text.IsValid() {
					t.Errorf("stored is %s", text)
				}
			}
		}
	})
}

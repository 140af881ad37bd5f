package salesforcefake_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
)

func TestCallsAreCountedAgainstTheDailyLimit(t *testing.T) {
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	o := newOrg(t, salesforcefake.Options{DailyLimit: 2, Now: func() time.Time { return at }})
	const path = root + "/query?q=SELECT+Id+FROM+Contact"
	for i, want := range []string{"api-usage=1/2", "api-usage=2/2"} {
		if status, _, header := o.answer("GET", path, ""); status != 200 || header.Get("Sforce-Limit-Info") != want {
			t.Errorf("call %d: %d, %s", i, status, header.Get("Sforce-Limit-Info"))
		}
	}
	if status, text := o.ask("GET", path, ""); status != 403 || !strings.Contains(text, "REQUEST_LIMIT_EXCEEDED") {
		t.Errorf("over the limit: %d %s", status, text)
	}
	at = at.Add(24 * time.Hour)
	if status, text := o.ask("GET", path, ""); status != 200 {
		t.Errorf("the next day: %d %s", status, text)
	}
}

func TestATokenIsNeeded(t *testing.T) {
	o := newOrg(t, salesforcefake.Options{Knobs: salesforcefake.Knobs{ExpireAfter: 1}})
	for i, want := range []int{200, 401, 401} {
		if status, text := o.ask("GET", root+"/query?q=SELECT+Id+FROM+Contact", ""); status != want {
			t.Errorf("call %d: %d %s, want %d", i, status, text, want)
		}
	}
	o.login()
	o.ExpireTokens()
	if status, text := o.ask("GET", root+"/query?q=SELECT+Id+FROM+Contact", ""); status != 401 || !strings.Contains(text, "INVALID_SESSION_ID") {
		t.Errorf("%d %s", status, text)
	}
}

func TestWrongCredentialsGetNoToken(t *testing.T) {
	o := newOrg(t, salesforcefake.Options{})
	for name, c := range map[string]struct {
		form url.Values
		want string
	}{
		"a wrong secret": {url.Values{"grant_type": {"client_credentials"}, "client_id": {"sandbox"}, "client_secret": {"x"}}, "invalid_client"},
		"a wrong client": {url.Values{"grant_type": {"client_credentials"}, "client_id": {"x"}, "client_secret": {"sandbox"}}, "invalid_client_id"},
		"another grant":  {url.Values{"grant_type": {"password"}}, "unsupported_grant_type"},
		"no assertion":   {url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}}, "invalid_grant"},
	} {
		if status, text := o.form(c.form); status != 400 || !strings.Contains(text, `"error":"`+c.want+`"`) {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

func TestAnAssertionIsCheckedToItsLastPart(t *testing.T) {
	mine, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	o := newOrg(t, salesforcefake.Options{Now: func() time.Time { return now }, Apps: []salesforcefake.App{{
		ConsumerKey: "k", Username: "u@x.example", Key: &mine.PublicKey,
	}}})
	sign := func(key *rsa.PrivateKey, header, iss, sub, aud string, exp time.Time) string {
		claims := fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"exp":%d}`, iss, sub, aud, exp.Unix())
		text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		sum := sha256.Sum256([]byte(text))
		signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return text + "." + base64.RawURLEncoding.EncodeToString(signature)
	}
	const rs256, aud = `{"alg":"RS256"}`, "https://login.salesforce.com"
	good := sign(mine, rs256, "k", "u@x.example", aud, now.Add(3*time.Minute))
	for name, c := range map[string]struct {
		assertion string
		status    int
	}{
		"as it should be":     {good, 200},
		"another's signature": {sign(other, rs256, "k", "u@x.example", aud, now.Add(time.Minute)), 400},
		"no signature":        {good[:strings.LastIndex(good, ".")+1], 400},
		"alg none":            {sign(mine, `{"alg":"none"}`, "k", "u@x.example", aud, now.Add(time.Minute)), 400},
		"another app":         {sign(mine, rs256, "x", "u@x.example", aud, now.Add(time.Minute)), 400},
		"another user":        {sign(mine, rs256, "k", "x", aud, now.Add(time.Minute)), 400},
		"another audience":    {sign(mine, rs256, "k", "u@x.example", "x", now.Add(time.Minute)), 400},
		"expired":             {sign(mine, rs256, "k", "u@x.example", aud, now), 400},
		"good for too long":   {sign(mine, rs256, "k", "u@x.example", aud, now.Add(3*time.Minute+time.Second)), 400},
		"nonsense":            {"a.b.c", 400},
	} {
		status, text := o.form(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {c.assertion}})
		if status != c.status {
			t.Errorf("%s: %d %s", name, status, text)
		}
	}
}

func TestBadDaysComeOnRequest(t *testing.T) {
	contacts := records("Contact", key("a", `"LastName":"x"`), key("b", `"LastName":"y"`))
	for name, c := range map[string]struct {
		knobs   salesforcefake.Knobs
		status  int
		has     string
		records int
	}{
		"down":             {salesforcefake.Knobs{Down: true}, 503, "Unavailable", 0},
		"503 before":       {salesforcefake.Knobs{P503: 1}, 503, "Unavailable", 0},
		"503 after":        {salesforcefake.Knobs{P503After: 1}, 503, "Unavailable", 2},
		"a page":           {salesforcefake.Knobs{PHTML: 1}, 200, "<html>", 2},
		"a short answer":   {salesforcefake.Knobs{PShort: 1}, 200, `"success":true`, 2},
		"locks":            {salesforcefake.Knobs{PLock: 1}, 200, "UNABLE_TO_LOCK_ROW", 0},
		"errors of a rule": {salesforcefake.Knobs{PRowError: 1}, 200, "FIELD_CUSTOM_VALIDATION_EXCEPTION", 0},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrg(t, salesforcefake.Options{})
			if err := o.SetKnobs(c.knobs); err != nil {
				t.Fatal(err)
			}
			status, text := o.ask("PATCH", root+"/composite/sobjects/Contact/Braze_External_Id__c", contacts)
			if n := len(o.Records("Contact")); status != c.status || !strings.Contains(text, c.has) || n != c.records {
				t.Errorf("%d %s, %d records", status, text, n)
			}
		})
	}
}

func TestTheSandboxIsAskedAndTurnedFromOutside(t *testing.T) {
	o := newOrg(t, salesforcefake.Options{})
	for _, step := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"POST", "/objects/Contact", `{"LastName":"a","Braze_External_Id__c":"k"}`, 201, `"id":"0035e0000000001AAA"`},
		{"PATCH", "/objects/Contact/0035e0000000001?actor=me", `{"Title":"b"}`, 204, ""},
		{"PATCH", "/objects/Contact/0035e0000000001", `{"Email":"b"}`, 422, "INVALID_EMAIL_ADDRESS"},
		{"PATCH", "/objects/Contact/0035e0000000009", `{"Title":"b"}`, 404, "NOT_FOUND"},
		{"PATCH", "/objects/Contact/0035e0000000001", `{`, 400, "JSON"},
		{"GET", "/objects/Contact", "", 200, `"last_modified_by":"me"`},
		{"PATCH", "/knobs", `{"p_lock":0.5,"tell_after":"2s"}`, 200, `"p_lock":0.5`},
		{"GET", "/knobs", "", 200, `"tell_after":"2s"`},
		{"PATCH", "/knobs", `{"p_luck":0.5}`, 422, "p_luck"},
		{"PATCH", "/knobs", `{"p_lock":7}`, 422, "probability"},
		{"GET", "/writes", "", 200, "[]"},
		{"GET", "/calls", "", 200, "[]"},
		{"POST", "/expire-tokens", "", 204, ""},
		{"POST", "/turn-day", "", 204, ""},
	} {
		status, text := o.ask(step.method, "/_sandbox"+step.path, step.body)
		if status != step.status || !strings.Contains(text, step.has) {
			t.Errorf("%s %s: %d %s", step.method, step.path, status, text)
		}
	}
}

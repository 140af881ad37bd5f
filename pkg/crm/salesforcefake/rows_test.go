package salesforcefake_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
)

func TestOneRowIsJudgedByTheRules(t *testing.T) {
	const name = `"LastName":"Osei"`
	for title, c := range map[string]struct{ row, want string }{
		"all that it needs":             {key("n", name), "created"},
		"there already":                 {key("old", `"Title":"x"`), "updated"},
		"there, in other letters":       {key("OLD", `"Title":"x"`), "updated"},
		"emptied":                       {key("old", `"Title":null`), "updated"},
		"a required field is missing":   {key("n", `"Title":"x"`), "REQUIRED_FIELD_MISSING"},
		"a required field is emptied":   {key("old", `"LastName":""`), "REQUIRED_FIELD_MISSING"},
		"a field that is none":          {key("n", name+`,"Nonsense__c":1`), "INVALID_FIELD"},
		"no e-mail address":             {key("n", name+`,"Email":"nobody"`), "INVALID_EMAIL_ADDRESS"},
		"an e-mail address with a name": {key("n", name+`,"Email":"a <a@b.example>"`), "INVALID_EMAIL_ADDRESS"},
		"an e-mail address":             {key("n", name+`,"Email":"a@b.example"`), "created"},
		"a text that is too long":       {key("n", name+`,"Loyalty_Tier__c":"`+strings.Repeat("ü", 21)+`"`), "STRING_TOO_LONG"},
		"a text that just fits":         {key("n", name+`,"Loyalty_Tier__c":"`+strings.Repeat("ü", 20)+`"`), "created"},
		"a checkbox as text":            {key("n", name+`,"HasOptedOutOfEmail":"yes"`), "INVALID_TYPE_ON_FIELD_IN_RECORD"},
		"a checkbox emptied":            {key("n", name+`,"HasOptedOutOfEmail":null`), "INVALID_TYPE_ON_FIELD_IN_RECORD"},
		"a number as words":             {key("n", name+`,"Last_Score__c":"nine"`), "INVALID_TYPE_ON_FIELD_IN_RECORD"},
		"a time without zone":           {key("n", name+`,"Last_Braze_Click__c":"2026-03-02T09:15:04"`), "INVALID_TYPE_ON_FIELD_IN_RECORD"},
		"an array":                      {key("n", name+`,"Title":["x"]`), "INVALID_TYPE_ON_FIELD_IN_RECORD"},
		"an id":                         {key("n", name+`,"Id":"003000000000001"`), "INVALID_FIELD_FOR_INSERT_UPDATE"},
		"no key":                        {name, "MISSING_ARGUMENT"},
		"an empty key":                  {key("", name), "MISSING_ARGUMENT"},
		"a parent that is there":        {key("n", name+`,"Account":{"Account_Number__c":"A-1"}`), "created"},
		"a parent that is not":          {key("n", name+`,"Account":{"Account_Number__c":"A-2"}`), "INVALID_FIELD"},
		"a parent by id that is not":    {key("n", name+`,"AccountId":"0015e0000000009"`), "INVALID_CROSS_REFERENCE_KEY"},
		"another's number":              {key("n", name+`,"Member_Number__c":7`), "DUPLICATE_VALUE"},
	} {
		t.Run(title, func(t *testing.T) {
			o := newOrg(t, salesforcefake.Options{})
			for object, fields := range map[string]string{
				"Account": `{"Name":"Acme","Account_Number__c":"A-1"}`,
				"Contact": `{"LastName":"Old","Braze_External_Id__c":"old","Member_Number__c":7}`,
			} {
				if _, err := o.Insert("", object, []byte(fields)); err != nil {
					t.Fatal(err)
				}
			}
			if got := o.upsert(c.row)[0].word(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			writes := o.Writes()
			if len(writes) != 1 || (writes[0].Error == "") != (c.want == "created" || c.want == "updated") {
				t.Errorf("remembered are %+v", writes)
			}
		})
	}
}

func TestRowsOfACallAreAnsweredInTheirOrder(t *testing.T) {
	o := newOrg(t, salesforcefake.Options{})
	var words []string
	for _, r := range o.upsert(key("a", `"LastName":"1"`), key("b", `"Title":"x"`), key("A", `"LastName":"2"`), key("c", `"LastName":"3"`)) {
		words = append(words, r.word())
	}
	if diff := cmp.Diff([]string{"created", "REQUIRED_FIELD_MISSING", "DUPLICATE_VALUE", "created"}, words); diff != "" {
		t.Error(diff)
	}
	r, ok := o.Find("Contact", "Braze_External_Id__c", "a")
	if !ok || r.Text("LastName") != "1" || len(r.ID) != 18 || r.By != salesforcefake.DefaultUser {
		t.Errorf("%+v", r)
	}
}

func TestACallIsRefusedAsAWhole(t *testing.T) {
	many := make([]string, 201)
	for i := range many {
		many[i] = key("x", `"LastName":"y"`)
	}
	const contacts = "/composite/sobjects/Contact/Braze_External_Id__c"
	for title, c := range map[string]struct {
		path, body string
		status     int
		code       string
	}{
		"no JSON":                 {contacts, `{"records":[`, 400, "JSON_PARSER_ERROR"},
		"a member that is none":   {contacts, `{"allOrNothing":true,"records":[]}`, 400, "JSON_PARSER_ERROR"},
		"a name twice":            {contacts, records("Contact", `"LastName":"a","LastName":"b"`), 400, "JSON_PARSER_ERROR"},
		"no records":              {contacts, `{"records":[]}`, 400, "INVALID_INPUT"},
		"a record without type":   {contacts, `{"records":[{"LastName":"a"}]}`, 400, "INVALID_INPUT"},
		"more than 200":           {contacts, records("Contact", many...), 400, "EXCEEDED_ID_LIMIT"},
		"no such object":          {"/composite/sobjects/Nothing/Key__c", records("Nothing", `"a":1`), 404, "NOT_FOUND"},
		"a key that is no key":    {"/composite/sobjects/Contact/Title", records("Contact", `"a":1`), 404, "NOT_FOUND"},
		"nothing is there":        {"/composite/nothing", `{}`, 404, "NOT_FOUND"},
		"no JSON by content type": {contacts, `x`, 400, "JSON_PARSER_ERROR"},
	} {
		t.Run(title, func(t *testing.T) {
			o := newOrg(t, salesforcefake.Options{})
			status, text := o.ask("PATCH", root+c.path, c.body)
			if status != c.status || !strings.Contains(text, `"errorCode":"`+c.code+`"`) {
				t.Errorf("%d %s; want %d %s", status, text, c.status, c.code)
			}
		})
	}
}

func TestUpdatesAndInsertsGoByID(t *testing.T) {
	o := newOrg(t, salesforcefake.Options{})
	made := o.results("POST", "/composite/sobjects", records("Contact", `"LastName":"a"`, `"Title":"b"`))
	if made[0].word() != "updated" || made[1].word() != "REQUIRED_FIELD_MISSING" { // an insert does not say created
		t.Fatalf("%+v", made)
	}
	short := made[0].ID[:15]
	changed := o.results("PATCH", "/composite/sobjects", records("Contact", `"id":"`+short+`","Title":"c"`, `"id":"0035e0000000009","Title":"c"`, `"Title":"c"`))
	if changed[0].word() != "updated" || changed[1].word() != "ENTITY_IS_DELETED" || changed[2].word() != "MISSING_ARGUMENT" {
		t.Errorf("%+v", changed)
	}
	if r, ok := o.Get("Contact", short); !ok || r.Text("Title") != "c" {
		t.Errorf("%+v", r)
	}
}

func TestASingleRecordIsReadAndWritten(t *testing.T) {
	o := newOrg(t, salesforcefake.Options{})
	const path = root + "/sobjects/Contact/Braze_External_Id__c/48213"
	for _, step := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"GET", path, "", 404, "NOT_FOUND"},
		{"PATCH", path + "?updateOnly=true", `{"LastName":"a"}`, 404, "NOT_FOUND"},
		{"PATCH", path, `{"Title":"a"}`, 400, "REQUIRED_FIELD_MISSING"},
		{"PATCH", path, `{"LastName":"a","Last_Score__c":9}`, 201, `"created":true`},
		{"PATCH", path + "?updateOnly=true", `{"LastName":"b"}`, 200, `"created":false`},
		{"PATCH", path, `{"Braze_External_Id__c":"x"}`, 400, "INVALID_FIELD"},
		{"GET", path, "", 200, `"LastName":"b"`},
		{"GET", path, "", 200, `"Last_Score__c":9.0`},
		{"GET", root + "/sobjects/Contact/0035e0000000001", "", 200, `"Id":"0035e0000000001AAA"`},
		{"PATCH", root + "/sobjects/Contact/0035e0000000001", `{"LastName":"c"}`, 204, ""},
		{"GET", path, "", 200, `"LastName":"c"`},
	} {
		status, text := o.ask(step.method, step.path, step.body)
		if status != step.status || !strings.Contains(text, step.has) {
			t.Errorf("%s %s: %d %s; want %d %s", step.method, step.path, status, text, step.status, step.has)
		}
	}
}

func TestQueriesAreAnswered(t *testing.T) {
	o := newOrg(t, salesforcefake.Options{})
	o.upsert(key("a", `"LastName":"1","Member_Number__c":71`), key(`o'b`, `"LastName":"2"`), key("c", `"LastName":"3"`))
	for q, want := range map[string]string{
		"SELECT Id FROM Contact": `"totalSize":3`,
		"SELECT Id, LastName FROM Contact WHERE Braze_External_Id__c IN ('A', 'nobody','c')": `"totalSize":2`,
		`SELECT LastName FROM Contact WHERE Braze_External_Id__c = 'o\'b'`:                   `"LastName":"2"`,
		"SELECT LastName FROM Contact WHERE Member_Number__c IN (71,null)":                   `"LastName":"1"`,
		"SELECT LastName FROM Contact WHERE LastName = '3' LIMIT 1":                          `"LastName":"3"`,
		"SELECT LastName FROM Contact WHERE Member_Number__c IN ('71')":                      "MALFORMED_QUERY",
		"SELECT LastName FROM Contact WHERE LastName IN (3)":                                 "MALFORMED_QUERY",
		"SELECT LastName FROM Contact WHERE LastName IN ('3)":                                "MALFORMED_QUERY",
		"SELECT LastName FROM Contact WHERE LastName IN ()":                                  "MALFORMED_QUERY",
		"SELECT Nonsense FROM Contact":                                                       "INVALID_FIELD",
		"SELECT Id FROM Nothing":                                                             "INVALID_TYPE",
		"DELETE Contact":                                                                     "MALFORMED_QUERY",
	} {
		escaped := strings.NewReplacer(" ", "+", "'", "%27", `\`, "%5C").Replace(q)
		if _, text := o.ask("GET", root+"/query?q="+escaped, ""); !strings.Contains(text, want) {
			t.Errorf("%s: %s; want %s", q, text, want)
		}
	}
}

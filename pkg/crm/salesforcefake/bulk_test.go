package salesforcefake_test

import (
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
)

func TestAJobGoesItsWay(t *testing.T) {
	o := newOrg(t, salesforcefake.Options{})
	const order = `{"operation":"upsert","object":"Contact","externalIdFieldName":"Braze_External_Id__c","contentType":"CSV","lineEnding":"LF"}`
	const job = "/7505e0000000001AAA"
	for _, step := range []struct {
		method, path, body string
		status             int
		has                string
	}{
		{"POST", "", `{"operation":"delete","object":"Contact","externalIdFieldName":"Braze_External_Id__c"}`, 400, "INVALIDJOB"},
		{"POST", "", `{"operation":"upsert","object":"Contact","externalIdFieldName":"Title"}`, 400, "INVALIDJOB"},
		{"POST", "", order, 200, `"id":"7505e0000000001AAA"`},
		{"PATCH", job, `{"state":"UploadComplete"}`, 400, "INVALIDJOBSTATE"},
		{"PUT", job + "/batches", "Braze_External_Id__c,LastName,Title\na,Osei,x\nb,,x\nc,\"O, N\",#N/A\n", 201, ""},
		{"PUT", job + "/batches", "x\n", 400, "INVALIDJOBSTATE"},
		{"GET", job + "/successfulResults/", "", 400, "INVALIDJOBSTATE"},
		{"PATCH", job, `{"state":"UploadComplete"}`, 200, `"state":"UploadComplete"`},
		{"GET", job, "", 200, `"state":"InProgress"`},
		{"GET", job, "", 200, `"state":"JobComplete"`},
		{"PATCH", job, `{"state":"Aborted"}`, 400, "INVALIDJOBSTATE"},
		{"GET", job + "/successfulResults/", "", 200, "sf__Id,sf__Created,Braze_External_Id__c,LastName,Title\n0035e0000000001AAA,true,a,Osei,x\n0035e0000000002AAA,true,c,\"O, N\",#N/A\n"},
		{"GET", job + "/failedResults", "", 200, ",REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --,b,,x\n"},
		{"GET", job + "/unprocessedrecords/", "", 200, "Braze_External_Id__c,LastName,Title\n"},
		{"GET", "/7505e0000000009AAA", "", 404, "NOT_FOUND"},
	} {
		status, text := o.ask(step.method, root+"/jobs/ingest"+step.path, step.body)
		if status != step.status || !strings.Contains(text, step.has) {
			t.Errorf("%s %s: %d %s; want %d %s", step.method, step.path, status, text, step.status, step.has)
		}
	}
}

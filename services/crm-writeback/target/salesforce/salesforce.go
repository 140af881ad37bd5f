// Package salesforce is the target that writes to a Salesforce org by its REST API.
//
// The way of a call: rows that cannot be sent are told apart (check.go), the others become one body of up to 200
// records (encode.go), which goes out with a token (token.go, call.go) if the day's budget has a call left (budget.go).
// What the answer means is said in two places: of a whole call in classify.go, of single rows in decode.go.
//
//	upsert   PATCH composite/sobjects/Contact/Braze_External_Id__c: one call, made again as often as one likes
//	update   a query for the ids of the external keys, then PATCH composite/sobjects by id: two calls, and a record
//	         that is not there is left missing
//	note     an upsert on a field in which the id of our write stands; or, where that field is no external id, a
//	         query for it and POST composite/sobjects for those that are not there yet
//
// An update could also be a PATCH of a single record with updateOnly=true (salesforce-docs:
// resources_sobject_upsert_patch). That is a call for each row; and since the parameter came with some later version
// than the collections, an org asked for an older one would pass it over and make the record. An update by id can make
// nothing, in any version.
//
// Where many rows wait, or few calls are left, the form of a call grows to that of a Bulk API 2.0 job (bulk.go,
// job.go, csv.go), which takes some seven calls for any number of rows: [Target.Form] has to be asked before every batch.
package salesforce

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// What one call takes (salesforce-docs: resources_composite_sobjects_collections_upsert). Orgs let only so many calls
// run that take more than 20 s, 25 or in small ones 5; ten at once leave some to others.
const (
	maxRows  = 200
	maxBytes = 4 << 20
	maxCalls = 10
)

// Target writes to one org. It may be used from several goroutines.
type Target struct {
	*settings
	client   *http.Client
	sessions *sessions
	budget   *budget
	metrics  *metrics
	log      zerolog.Logger
	now      func() time.Time
	streak   atomic.Int64 // rows in full batches without one that was not
}

// Open makes a target of options. It reads the private key where that is in a file, and dials nothing.
func Open(_ context.Context, o Options, d target.Deps) (target.Target, error) {
	set, err := o.settle()
	if err != nil {
		return nil, fmt.Errorf("opening the target %s: %w", d.Name, err)
	}
	t := &Target{settings: set, client: d.HTTP, metrics: newMetrics(d.Metrics), log: d.Log, now: d.Now}
	if t.now == nil {
		t.now = time.Now
	}
	if t.client == nil {
		t.client = &http.Client{
			Timeout:       2 * time.Minute,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	t.budget = &budget{calls: set.calls, share: set.share, recheck: set.Daily.Recheck}
	if t.sessions, err = set.sessions(t.client); err != nil {
		return nil, fmt.Errorf("opening the target %s: %w", d.Name, err)
	}
	return t, nil
}

// Form is that of a collections call, or of a job while one would be worth it. It changes with what is waiting and
// with what is left of the day.
func (t *Target) Form() target.Form {
	f := target.Form{Rows: maxRows, Bytes: maxBytes, Alike: alike, Calls: maxCalls}
	if t.offersBulk() {
		f.Rows, f.Bytes = max(t.Bulk.Rows, maxRows), maxJobBytes
	}
	return f
}

// alike: a URL has one object and one key field in it.
func alike(a, b *target.Row) bool {
	return a.Object == b.Object && a.KeyField == b.KeyField && a.Mode == b.Mode
}

// Close lets go of idle connections.
func (t *Target) Close() error {
	t.client.CloseIdleConnections()
	return nil
}

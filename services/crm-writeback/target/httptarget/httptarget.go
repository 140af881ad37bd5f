// Package httptarget is the target that is made by configuration alone: any system that takes writes by HTTP.
//
// The way of a row: it becomes a value for programs in jq (input.go); these say path, method, headers and body
// (request.go, form.go); the request goes out with credentials and an idempotency key (send.go, auth.go); what the
// answer means is said by the operator's program (verdict.go), and where that says nothing by the status (classify.go).
// In batch form all of this happens once for many rows.
//
// What a program makes of somebody's data is checked before it is sent: a path stays below the URL that the operator
// wrote, a header stays one line, a body is bounded. No program may run longer than a second.
//
// Ways to use it for well-known systems stand in testdata, each with a test against a strict imitation: chargebee.yaml,
// zendesk.yaml, and for a loyalty system row by row and in batches loyalty.yaml and loyalty_batch.yaml.
package httptarget

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// Target writes to one URL and what is below it.
type Target struct {
	*settings
	client  *http.Client
	own     *http.Transport // the client's, where it is not somebody else's
	tokens  *wire.Tokens    // nil where the credentials never change
	metrics *metrics
	now     func() time.Time
}

// Open makes a target of options. It reads the files that they name, and calls nobody.
func Open(_ context.Context, o Options, d target.Deps) (target.Target, error) {
	set, err := o.settle()
	if err != nil {
		return nil, fmt.Errorf("opening HTTP target %s: %w", d.Name, err)
	}
	t := &Target{settings: set, metrics: newMetrics(d.Metrics), now: d.Now}
	if t.now == nil {
		t.now = time.Now
	}
	t.client = &http.Client{Timeout: set.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var given http.RoundTripper
	if d.HTTP != nil {
		given = d.HTTP.Transport
	}
	if err := t.connect(given); err != nil {
		return nil, fmt.Errorf("opening HTTP target %s: %w", d.Name, err)
	}
	t.identify()
	return t, nil
}

// Form is what one call takes: a row, or, in batch form, rows of one object, mode and key.
func (t *Target) Form() target.Form {
	return target.Form{
		Rows: t.Batch.Rows, Bytes: t.Batch.Bytes, Calls: t.Calls,
		Alike: func(a, b *target.Row) bool {
			return a.Object == b.Object && a.Mode == b.Mode && a.KeyField == b.KeyField
		},
	}
}

// Write makes the rows' one call.
func (t *Target) Write(ctx context.Context, rows []*target.Row) target.Answer {
	if len(rows) == 0 {
		return target.Answer{}
	}
	if !t.batch && len(rows) > 1 {
		return wire.RejectedOf(len(rows), wire.TooLarge, "a call has one row")
	}
	q, failed := t.request(ctx, rows)
	if failed != nil {
		return *failed
	}
	return t.send(ctx, q)
}

// Close lets go of connections that are the target's own; those of a client that was given are its owner's.
func (t *Target) Close() error {
	if t.own != nil {
		t.own.CloseIdleConnections()
	}
	return nil
}

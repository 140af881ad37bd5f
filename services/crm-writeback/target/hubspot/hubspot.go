// Package hubspot is the target that speaks HubSpot's CRM API: objects in batches of a hundred, read row by row.
//
// The way of a batch by its mode (write.go):
//
//	upsert   one call: batch/upsert by the external key
//	update   two: batch/read by the external key, then batch/update by HubSpot's own ids. Who is not there is skipped
//	note     three: batch/read of whom it is about, batch/upsert of notes by the id of the write, and the associations.
//	         HubSpot's call that makes a note together with its association would be one call fewer, and make a second note
//	         when it is repeated after an answer that was lost; this way each call may be repeated as often as one likes
//
// What is sent is made in encode.go, what comes back is read in answer.go and judged in classify.go; limits.go obeys
// the rate that HubSpot tells in headers.
//
// The key of an object should be a custom unique property: with email for one, a contact that has it as a second address
// is not told apart, and HubSpot is said not to take upserts that name only some properties.
//
// Facts are from hubspot-docs: CRM API (batch endpoints, multi-status errors), associations v4, usage guidelines,
// webhooks. What a comment calls "from memory" they do not say.
package hubspot

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget/wire"
)

// What one call takes. HubSpot bounds the inputs; the bytes are ours, so that a call stays small beside a row's memory.
const (
	maxRows  = 100
	maxBytes = 3 << 20
	// parallel calls: at 200 ms a call, five times this many seconds of HubSpot's lowest limit of 100 in 10 s.
	parallel = 4
)

// Target is one HubSpot portal.
type Target struct {
	options Options
	client  *http.Client
	tokens  *wire.Tokens  // nil for a private app
	fixed   *oauth2.Token // of a private app
	limits  *limits
	metrics *metrics
	now     func() time.Time
}

// Open makes a target of options, and calls nobody.
func Open(_ context.Context, o Options, d target.Deps) (target.Target, error) {
	o = o.withDefaults()
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("opening HubSpot target %s: %w", d.Name, err)
	}
	t := &Target{options: o, now: d.Now, metrics: newMetrics(d.Metrics)}
	if t.now == nil {
		t.now = time.Now
	}
	t.client = &http.Client{Timeout: o.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if d.HTTP != nil {
		t.client.Transport = d.HTTP.Transport
	}
	t.limits = &limits{metrics: t.metrics}
	if secret := o.Token.Reveal(); secret != "" {
		t.fixed = &oauth2.Token{AccessToken: secret}
		return t, nil
	}
	config := &oauth2.Config{
		ClientID: o.OAuth.ClientID, ClientSecret: o.OAuth.ClientSecret.Reveal(),
		Endpoint: oauth2.Endpoint{TokenURL: o.OAuth.TokenURL, AuthStyle: oauth2.AuthStyleInParams},
	}
	refresh := o.OAuth.RefreshToken.Reveal()
	t.tokens = wire.NewTokens(t.client, o.Timeout, func(ctx context.Context) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	})
	return t, nil
}

// Form is what one call takes: a hundred rows of one object, mode and key.
func (t *Target) Form() target.Form {
	return target.Form{
		Rows: maxRows, Bytes: maxBytes, Calls: parallel,
		Alike: func(a, b *target.Row) bool {
			return a.Object == b.Object && a.Mode == b.Mode && a.KeyField == b.KeyField
		},
	}
}

// Write makes the rows' calls. A delivered row has the id of the object that its key names, of a note too.
func (t *Target) Write(ctx context.Context, rows []*target.Row) target.Answer {
	if len(rows) == 0 {
		return target.Answer{}
	}
	w := newWork(t, rows)
	switch rows[0].Mode {
	case crm.Upsert:
		return w.upsert(ctx)
	case crm.Update:
		return w.update(ctx)
	case crm.Note:
		return w.note(ctx)
	}
	return target.Refused("unknown_mode", "there is no mode "+rows[0].Mode)
}

// Close lets go of connections that are the target's own; those of a client that was given are its owner's.
func (t *Target) Close() error { return nil }

// objectPath is the path of a batch call. The object's name comes out of a file, and stays one element of the path.
func objectPath(object, call string) string {
	return "/crm/v3/objects/" + escaped(object) + "/batch/" + call
}

func escaped(element string) string {
	return strings.ReplaceAll(url.PathEscape(element), "..", "%2E%2E")
}

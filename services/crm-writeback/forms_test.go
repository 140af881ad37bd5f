package crmwriteback_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/table"
	"github.com/sluicehq/sluice/pkg/topics"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	"github.com/sluicehq/sluice/services/crm-writeback/plan"
)

const formsFile = `
targets:
  - name: crm
    kind: salesforce
    linger: 1s
    salesforce:
      url: %q
      auth: {client_id: sandbox, client_secret: sandbox}
      daily: {recheck: 1s}
      bulk: {off: true}
    objects:
      - object: Contact
        key: {field: Braze_External_Id__c, from: .user.external_id}
rules:
  - name: form
    on: actions
    names: [form]
    target: crm
    object: Contact
    set: '{LastName: "form \(.payload.n)"}'
`

// TestTenThousandFormsEndInTheOrgOrAsALetter: whatever goes wrong over there, each form ends, in order for each contact, and
// calls are as full as they can be.
func TestTenThousandFormsEndInTheOrgOrAsALetter(t *testing.T) {
	const forms, contacts = 10_000, 5_000
	org, err := salesforcefake.New(salesforcefake.Options{DailyLimit: 20, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	defer org.Close()
	if err := org.SetKnobs(salesforcefake.Knobs{P503: 0.05, P503After: 0.05, PLock: 0.01, PRowError: 0.01, ExpireAfter: 6}); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(org)
	defer server.Close()

	s := newScene(t)
	s.config.State = table.Config{Dir: t.TempDir(), CacheBytes: 8 << 20}
	s.config.Writeback.Batch, s.config.Writeback.BatchBytes = 2_000, 4<<20
	s.config.Writeback.File = filepath.Join(t.TempDir(), "writeback.yaml")
	if err := os.WriteFile(s.config.Writeback.File, fmt.Appendf(nil, formsFile, server.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	reg, err := registry.New(s.config.Registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reg.Close)
	if s.ids, err = topics.Prepare(t.Context(), s.config.Kafka, reg, append(plan.Topics(), schema.CustomerProfiles)...); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	var records []*stream.Record
	for n := range forms {
		a := event.Action{
			ID: fmt.Sprintf("form-%05d", n), User: event.User{ExternalID: fmt.Sprintf("c-%d", n%contacts)}, Name: "form",
			OccurredAt: now.Add(time.Duration(n) * time.Millisecond), ReceivedAt: now, ContentType: "application/json", JSON: fmt.Appendf(nil, `{"n":%d}`, n),
		}
		records = append(records, &stream.Record{
			Topic: s.config.Kafka.Topic(schema.BrazeActions), Key: []byte(a.Key()), Value: avro.AppendAction(nil, s.ids[schema.BrazeActions], &a),
		})
	}
	if err := s.producer.ProduceAll(t.Context(), records...); err != nil {
		t.Fatal(err)
	}
	r := s.serve(func(ctx context.Context, p *daemon.Process) (*crmwriteback.Service, error) {
		return crmwriteback.BuiltIn.Open(ctx, s.config, p)
	})
	turned := 0
	r.await("every form's end", func() bool {
		if used, limit := org.Usage(); used >= limit {
			org.TurnDay()
			turned++
		}
		_, ended := r.law("crm")
		done := 0
		for what, n := range ended {
			if what != "held" && what != "returned" {
				done += n
			}
		}
		return done == forms
	})
	r.holds("crm")
	if turned == 0 {
		t.Error("the daily limit was never reached")
	}

	// Each form has one end, and of a refusal the org's own word.
	ends := map[string]int{}
	refused := map[int]bool{}
	for _, d := range s.deliveries() {
		if d.Target != "crm" || !d.Outcome.Kind.Final() {
			continue
		}
		ends[d.Cause.EventID]++
		if d.Outcome.Kind == outcome.Refused {
			n, err := strconv.Atoi(strings.TrimPrefix(d.Cause.EventID, "form-"))
			if err != nil {
				t.Fatal(err)
			}
			refused[n] = true
			if d.Outcome.Reason == "" || d.Outcome.Detail == "" {
				t.Errorf("%s was refused for %q, %q", d.Cause.EventID, d.Outcome.Reason, d.Outcome.Detail)
			}
		}
	}
	if len(ends) != forms {
		t.Errorf("%d of %d forms have an end", len(ends), forms)
	}
	for id, n := range ends {
		if n != 1 {
			t.Errorf("%s has %d ends", id, n)
		}
	}

	// What the org was told of a contact never went back, and the newest form that was delivered stands, or a newer one: a row
	// whose call was taken and answered 503 may be refused when it comes again.
	last := map[string]int{}
	for _, w := range org.Writes() {
		if w.Error != "" {
			continue
		}
		n := formOf(t, w.Fields)
		if before, ok := last[w.Key]; ok && n < before {
			t.Errorf("%s was told form %d after form %d", w.Key, n, before)
		}
		last[w.Key] = n
	}
	for c := range contacts {
		key := fmt.Sprintf("c-%d", c)
		want := -1
		for n := c; n < forms; n += contacts {
			if !refused[n] {
				want = n
			}
		}
		if got, ok := last[key]; want >= 0 && (!ok || got < want) {
			t.Errorf("the org has form %d of %s, where %d was delivered", got, key, want)
		}
	}

	// A call takes 200 rows.
	calls, rows := 0, 0
	for _, c := range org.Calls() {
		if c.API == "collections" && c.Status == 200 {
			calls, rows = calls+1, rows+c.Rows
		}
	}
	fewest := (rows + 199) / 200
	t.Logf("%d forms of %d contacts: %d rows in %d calls (%d at least), %d refused, the limit turned %d times", forms, contacts, rows, calls, fewest, len(refused), turned)
	if float64(calls) > float64(fewest)*1.1+1 {
		t.Errorf("%d rows took %d calls, where %d would do", rows, calls, fewest)
	}
	if letters := s.letters(); len(letters) != len(refused) {
		t.Errorf("%d forms were refused, and %d are dead letters", len(refused), len(letters))
	}
}

// formOf is the number of the form that a row was made of.
func formOf(t *testing.T, fields []byte) int {
	t.Helper()
	var f struct{ LastName string }
	if err := json.Unmarshal(fields, &f); err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(strings.TrimPrefix(f.LastName, "form "))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

package pipeline_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/crm/hubspotfake"
	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline"
)

// crmDeliveries are what became of writes, and of changes on their way back, so far.
func (r *rig) crmDeliveries() []crm.Delivery {
	r.t.Helper()
	var list []crm.Delivery
	for _, rec := range r.read(schema.CRMDeliveries) {
		d, err := crm.ReadDelivery(rec.Value)
		if err != nil {
			r.t.Fatal(err)
		}
		list = append(list, d)
	}
	return list
}

// ended counts the deliveries of a target with an outcome and a reason.
func ended(list []crm.Delivery, target string, kind outcome.Kind, reason string) int {
	n := 0
	for _, d := range list {
		if d.Target == target && d.Outcome.Kind == kind && d.Outcome.Reason == reason {
			n++
		}
	}
	return n
}

// attribute is what the sandbox's Braze has of a customer, as JSON.
func (r *rig) attribute(user, name string) string {
	profile, ok := r.Sandbox().Profile(user)
	if !ok {
		return ""
	}
	return string(profile.Custom[name])
}

func TestCRMsAndBrazeAgreeAndNothingComesRoundTwice(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, append(c.environ, "WRITEBACK_LINGER=20ms")...), pipeline.Options{})
		org, portal, programme := r.CRM()
		const customers = 10

		for i := range customers { // of whom the portal knows already
			if _, err := portal.Edit(hubspotfake.Edit{Key: fmt.Sprintf("cus-%d", i), Properties: map[string]string{"email": fmt.Sprintf("mira-%d@example.com", i)}}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range customers {
			if status, answer := r.post("/v1/braze/webhooks/form", fmt.Sprintf(
				`{"id":"form-%d","user":{"external_id":"cus-%d"},"first_name":"Mira","last_name":"Osei %d","email":"mira-%d@example.com"}`, i, i, i, i)); status != http.StatusOK {
				t.Fatalf("the front door answers a form with %d %s", status, answer)
			}
		}
		await(t, "every form is a contact in the org", func() bool {
			for i := range customers {
				if _, ok := org.Find("Contact", "Braze_External_Id__c", fmt.Sprintf("cus-%d", i)); !ok {
					return false
				}
			}
			return true
		})
		await(t, "the org's own messages about it are known for echoes", func() bool {
			return ended(r.crmDeliveries(), crm.Braze, outcome.Skipped, "echo") >= customers
		})

		// A person's edit over there reaches Braze, once.
		contact, _ := org.Find("Contact", "Braze_External_Id__c", "cus-3")
		if err := org.Edit(salesforcefake.Person, "Contact", contact.ID, jsontext.Value(`{"Billing_Status__c":"past_due"}`)); err != nil {
			t.Fatal(err)
		}
		await(t, "the edit is in Braze", func() bool { return r.attribute("cus-3", "crm_billing_status") == `"past_due"` })

		// So does one of a system that only posts what has changed.
		if _, err := programme.Edit("cus-4", "till", map[string]jsontext.Value{"tier": jsontext.Value(`"silver"`), "points": jsontext.Value("120")}); err != nil {
			t.Fatal(err)
		}
		await(t, "the programme's edit is in Braze", func() bool {
			return r.attribute("cus-4", "loyalty_tier") == `"silver"` && r.attribute("cus-4", "loyalty_points") == "120"
		})

		// Nothing is on its way any more, and what has gone round is bounded: one contact and one note a form, one
		// change a person's edit.
		await(t, "nothing is held", func() bool {
			law := r.Law()
			return law.Planned.Held == 0 && law.Writes.Held == 0 && law.Sync.Held == 0 && law.Held == 0 &&
				law.Writes.Accepted == law.Writes.Delivered+law.Writes.Skipped+law.Writes.Refused
		})
		writes := map[string]int{}
		for _, w := range org.Writes() {
			writes[w.Key]++
		}
		for key, n := range writes {
			if n > 1 && strings.HasPrefix(key, "cus-") {
				t.Errorf("%s was written %d times to the org because of one form", key, n)
			}
		}
		if notes := len(portal.Objects("notes")); notes != customers {
			t.Errorf("%d forms became %d notes", customers, notes)
		}
		if n := len(r.read(schema.CustomerProfiles)); n != 2 {
			t.Errorf("two edits of people became %d changes of profiles", n)
		}
		for _, d := range r.crmDeliveries() {
			if d.Outcome.Kind == outcome.Refused {
				t.Errorf("refused: %s %s of %s: %s %s", d.Target, d.Object, d.Key, d.Outcome.Reason, d.Outcome.Detail)
			}
		}
		if n := len(r.read(schema.DeadLetters("crm-writeback"))); n > 0 {
			t.Errorf("%d dead letters", n)
		}
	})
}

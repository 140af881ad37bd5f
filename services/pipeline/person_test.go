package pipeline_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/trace"
)

func TestAVisitorTurnsOutToBeACustomer(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		status, answer := r.post("/v1/batch", `{"batch":[
			{"type":"track","messageId":"m-1","anonymousId":"a-1","event":"Product Viewed","properties":{"seq":1}},
			{"type":"track","messageId":"m-2","anonymousId":"a-1","event":"Product Added","properties":{"seq":2}},
			{"type":"identify","messageId":"m-3","anonymousId":"a-1","userId":"cus-9","traits":{"plan":"gold"}},
			{"type":"track","messageId":"m-4","anonymousId":"a-1","userId":"cus-9","event":"Order Completed","properties":{"seq":3}}]}`)
		if status != http.StatusOK {
			t.Fatalf("the front door answers %d %s", status, answer)
		}
		r.lawful(pipeline.Books{Accepted: 4, Delivered: 4}) // three events and the link
		got := r.told("cus-9")
		slices.Sort(got) // nothing orders what a visitor did and what a customer does
		if !cmp.Equal(got, []string{"Order Completed", "Product Added", "Product Viewed"}) {
			t.Errorf("the customer's profile has %q, want what the visitor did, too", got)
		}
		changes := r.Sandbox().Changes()
		if len(changes) != 1 || changes[0].Kind != brazefake.ChangeIdentify || changes[0].User != "alias:anonymous_id:a-1" || changes[0].Into != "cus-9" {
			t.Fatalf("Braze has changed %+v, want the visitor identified", changes)
		}
		for o := range r.Sandbox().Received() {
			if o.User == "alias:anonymous_id:a-1" && o.Request > changes[0].Request {
				t.Errorf("%s of the visitor came after who they are", o.Name)
			}
		}
	})
}

func TestAnErasedCustomerIsGoneAndTheTraceShowsIt(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		if status, answer := r.post("/v1/events", `{"user":{"external_id":"cus-1"},"name":"Signed Up","attributes":{"plan":"gold"}}`); status != http.StatusAccepted {
			t.Fatalf("the front door answers %d %s", status, answer)
		}
		if status, answer := r.post("/v1/commerce", `{"user":{"external_id":"cus-1"},"type":"renewal_due","due":"2026-04-01T00:00:00Z"}`); status != http.StatusAccepted {
			t.Fatalf("the front door answers %d %s", status, answer)
		}
		r.lawful(pipeline.Books{Accepted: 2, Delivered: 2})
		if status, answer := r.ask(http.MethodDelete, "/v1/users/cus-1", ""); status != http.StatusAccepted {
			t.Fatalf("the front door answers %d %s", status, answer)
		}
		r.lawful(pipeline.Books{Accepted: 3, Delivered: 3})
		if p, known := r.Sandbox().Profile("cus-1"); known {
			t.Errorf("Braze still knows %+v", p)
		}
		if got := r.Sandbox().Deleted(); !cmp.Equal(got, []string{"cus-1"}) {
			t.Errorf("Braze has deleted %q", got)
		}
		story := r.trace("cus-1")
		var receipts []string
		for _, e := range story.Entries {
			for _, receipt := range e.Receipts {
				receipts = append(receipts, e.Topic+" "+receipt.Endpoint+" "+receipt.Outcome)
			}
		}
		want := []string{
			"customer.events /users/track delivered", "commerce.events /users/track delivered",
			"braze.attributes /users/track delivered", // when the next renewal is
			"customer.events /users/delete delivered",
		}
		if diff := cmp.Diff(want, receipts); diff != "" {
			t.Errorf("the trace (-want +got):\n%s", diff)
		}
	})
}

// trace is what sluice trace tells of a customer.
func (r *rig) trace(key string) *trace.Story {
	r.t.Helper()
	client, err := registry.New(registry.Config{URL: r.Places().Registry})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(client.Close)
	admin, err := stream.NewAdmin(r.kafka)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(admin.Close)
	story, err := trace.Tell(r.t.Context(), &replay.Cluster{Kafka: r.kafka, Admin: admin, Schemas: avro.FromRegistry(client)}, trace.Query{Text: key})
	if err != nil {
		r.t.Fatal(err)
	}
	return story
}

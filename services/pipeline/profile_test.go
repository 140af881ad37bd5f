package pipeline_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/services/pipeline"
)

// say posts to the front door what must be accepted.
func (r *rig) say(path, body string) {
	r.t.Helper()
	if status, answer := r.post(path, body); status != http.StatusAccepted && status != http.StatusOK || !strings.Contains(answer, `"rejected":0`) && strings.Contains(answer, "rejected") {
		r.t.Fatalf("POST %s %s: the front door answers %d %s", path, body, status, answer)
	}
}

// profile is what Braze has of somebody: the attributes that it knows and all others, each as it came.
func (r *rig) profile(user string) map[string]string {
	r.t.Helper()
	p, ok := r.Sandbox().Profile(user)
	if !ok {
		r.t.Fatalf("Braze knows nothing of %s", user)
	}
	all := map[string]string{}
	for name, value := range p.Attributes {
		all[name] = string(value)
	}
	for name, value := range p.Custom {
		all[name] = string(value)
	}
	return all
}

// paid is what Braze was sent of somebody's attributes, object by object: what is charged for.
func (r *rig) paid(user string) int {
	r.t.Helper()
	objects := 0
	for o := range r.Sandbox().Received() {
		if o.Array == braze.Attributes && o.User == user && o.Fate.Applied() {
			objects++
		}
	}
	return objects
}

func TestAProfileIsWhatItsSourcesSayAndRepeatsCostNothing(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		change := func(id, source, at, rest string) {
			t.Helper()
			r.say("/v1/profiles", fmt.Sprintf(`{"id":%q,"user":{"external_id":"cus-1"},"source":%q,"time":%q,%s}`, id, source, at, rest))
			r.lawful(pipeline.Books{})
		}
		const first = `"set":{"tier":"gold","city":"Wien","ref":820982911946154508,"address":{"street":"Ring 1","zip":"1010"},"interests":["hiking"]}`
		change("p-1", "crm", "2026-03-02T09:00:00Z", first)
		want := map[string]string{
			"tier": `"gold"`, "city": `"Wien"`, "ref": `820982911946154508`, "address": `{"street":"Ring 1","zip":"1010"}`, "interests": `["hiking"]`,
		}
		if diff := cmp.Diff(want, r.profile("cus-1")); diff != "" {
			t.Fatalf("the profile (-want +got):\n%s", diff)
		}
		if paid := r.paid("cus-1"); paid != 1 {
			t.Errorf("Braze was sent %d objects of attributes, want 1", paid)
		}

		// The same again, by the same system and by another one, and in another order.
		change("p-2", "crm", "2026-03-02T09:01:00Z", first)
		change("p-3", "erp", "2026-03-02T09:02:00Z", `"set":{"city":"Wien","tier":"gold"}`)
		// What is older than what stands loses.
		change("p-4", "shop", "2026-03-01T09:00:00Z", `"set":{"city":"Linz"}`)
		if paid := r.paid("cus-1"); paid != 1 {
			t.Errorf("after repeats and a stale value Braze was sent %d objects of attributes, want still 1", paid)
		}
		if diff := cmp.Diff(want, r.profile("cus-1")); diff != "" {
			t.Errorf("the profile, after repeats and a stale value (-want +got):\n%s", diff)
		}

		// Null takes away, operators change, and only that is sent.
		change("p-5", "crm", "2026-03-02T09:03:00Z", `"set":{"city":null,"tier":"silver"},"unset":["ref"],"add":{"interests":["skiing"]},"increment":{"visits":2}`)
		want = map[string]string{
			"tier": `"silver"`, "address": `{"street":"Ring 1","zip":"1010"}`, "interests": `["hiking","skiing"]`, "visits": `2`,
		}
		if diff := cmp.Diff(want, r.profile("cus-1")); diff != "" {
			t.Errorf("the profile, after operators (-want +got):\n%s", diff)
		}
		if sync := r.Law().Sync; sync.Delivered != 2 || sync.Skipped != 3 || sync.Refused != 0 {
			t.Errorf("the books of attribute-sync: %s", sync)
		}
	})
}

// A tracking client's identify, with no code of ours between it and the profile.
func TestTraitsOfAnIdentifyBecomeAProfile(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		for _, id := range []string{"m-1", "m-2"} {
			r.say("/v1/identify", `{"messageId":"`+id+`","userId":"cus-1","traits":{"email":"zoe@example.com","firstName":"Zoë","plan":"gold"}}`)
		}
		r.lawful(pipeline.Books{})
		want := map[string]string{"email": `"zoe@example.com"`, "first_name": `"Zoë"`, "plan": `"gold"`}
		if diff := cmp.Diff(want, r.profile("cus-1")); diff != "" {
			t.Errorf("the profile (-want +got):\n%s", diff)
		}
		if paid := r.paid("cus-1"); paid != 1 {
			t.Errorf("Braze was sent %d objects of attributes, want 1", paid)
		}
	})
}

func TestTheTraceSaysWhyAChangeOfAProfileCameToNothing(t *testing.T) {
	t.Parallel()
	onEveryCluster(t, func(t *testing.T, c cluster) {
		r := start(t, load(t, c.environ...), pipeline.Options{})
		for _, change := range []string{
			`"id":"p-1","source":"crm","time":"2026-03-02T09:00:00Z","set":{"city":"Graz"}`,
			`"id":"p-2","source":"crm","time":"2026-03-02T09:01:00Z","set":{"city":"Graz"}`,
			`"id":"p-3","source":"erp","time":"2026-03-01T09:00:00Z","set":{"city":"Wien"}`,
		} {
			r.say("/v1/profiles", `{"user":{"external_id":"cus-1"},`+change+`}`)
			r.lawful(pipeline.Books{})
		}
		var b strings.Builder
		story := r.trace("cus-1")
		if err := story.Write(&b, func(word string) string { return word }); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(b.String(), "\n")
		for _, want := range []string{
			"    unchanged: Braze had it",
			"    declined city: stale, crm wrote it at 2026-03-02T09:01:00.000Z",
			"attribute-sync: accepted 3 = delivered 1 + skipped 2 + refused 0 + held 0",
		} {
			if !slices.Contains(lines, want) {
				t.Errorf("the trace does not say %q", want)
			}
		}
		if !strings.Contains(b.String(), "told to Braze by "+r.kafka.Topic("braze.attributes")+"/") || t.Failed() {
			t.Errorf("the trace says:\n%s", b.String())
		}
	})
}

package simulate

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// door is a front door for tests: it knows the rules, and turns away every nth request.
type door struct {
	t         *testing.T
	refuse    int // every so many requests; 0 is never
	status    int // with which
	swallow   bool
	mu        sync.Mutex
	requests  int
	seen      map[string]bool
	sequences map[string][]int // by user
}

func newDoor(t *testing.T) (*door, Door) {
	t.Helper()
	d := &door{t: t, seen: map[string]bool{}, sequences: map[string][]int{}}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	return d, Door{URL: server.URL, Key: "dev"}
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		d.t.Error(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.requests++
	refuse := d.refuse > 0 && d.requests%d.refuse == 0
	if refuse && !d.swallow {
		w.Header().Set("Retry-After", "0")
		w.WriteHeader(d.status)
		return
	}
	if r.URL.Path == PathBatch {
		if user, _, ok := r.BasicAuth(); !ok || user != "dev" {
			d.t.Errorf("a client's request came with the key %q", user)
		}
		var batch struct{ Batch []map[string]any }
		if err := json.Unmarshal(body, &batch); err != nil {
			d.t.Errorf("a client sent %s: %v", body, err)
		}
		for _, m := range batch.Batch {
			d.take(m["messageId"], m["userId"], m["properties"])
		}
		_, _ = io.WriteString(w, `{"success":true}`)
		return
	}
	verdict := d.verdict
	switch r.URL.Path {
	case PathCommerce:
		verdict = d.shopVerdict
	case PathProfiles, PathCases:
		verdict = d.officeVerdict
	}
	var items []map[string]any
	if body[0] == '{' {
		body = slices.Concat([]byte("["), body, []byte("]"))
	}
	if json.Unmarshal(body, &items) != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var results []map[string]any
	for i, it := range items {
		results = append(results, map[string]any{"index": i, "id": it["id"], "status": verdict(it)})
	}
	if refuse { // taken, and the answer is lost
		w.WriteHeader(d.status)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	_ = json.NewEncoder(w).Encode(map[string]any{"results": results})
}

func (d *door) verdict(it map[string]any) Verdict {
	_, named := it["name"]
	_, objects := it["properties"].([]any)
	_, coloured := it["colour"]
	user, _ := json.Marshal(it["user"])
	attributes, _ := it["attributes"].(map[string]any)
	switch {
	case !named, objects, coloured, it["time"] == "yesterday", string(user) == "{}", attributes["external_id"] != nil:
		return Rejected
	case !d.take(it["id"], string(user), it["properties"]):
		return Duplicate
	}
	return Accepted
}

// shopVerdict is that of a commerce event.
func (d *door) shopVerdict(it map[string]any) Verdict {
	user, _ := json.Marshal(it["user"])
	lines, _ := it["lines"].([]any)
	flawed := len(lines) > 0 && lines[0].(map[string]any)["product_id"] == nil
	switch {
	case it["type"] == nil, it["currency"] == "EURO", it["total"] == "12,90", string(user) == "{}", flawed:
		return Rejected
	case d.seen[it["id"].(string)]:
		return Duplicate
	}
	d.seen[it["id"].(string)] = true
	who, seq := "shop "+string(user), int(it["metadata"].(map[string]any)["seq"].(float64))
	if n := len(d.sequences[who]); n > 0 && d.sequences[who][n-1] == seq {
		return Accepted // restated
	} else if n > 0 && d.sequences[who][n-1] == seq+1 { // the order that its refund has overtaken
		d.sequences[who] = slices.Insert(d.sequences[who], n-1, seq)
		return Accepted
	}
	d.sequences[who] = append(d.sequences[who], seq)
	return Accepted
}

// officeVerdict is that of what an office says.
func (d *door) officeVerdict(it map[string]any) Verdict {
	_, change := it["set"].(map[string]any)
	if !change && it["add"] == nil && it["increment"] == nil && (it["case_id"] == nil || it["event"] == nil) || it["source"] == nil {
		return Rejected
	}
	if !d.take(it["id"], "", nil) {
		return Duplicate
	}
	return Accepted
}

func (d *door) take(id, user, properties any) bool {
	if d.seen[id.(string)] {
		return false
	}
	d.seen[id.(string)] = true
	if p, ok := properties.(map[string]any); ok {
		who := user.(string)
		if external := (struct {
			ID string `json:"external_id"`
		}{}); json.Unmarshal([]byte(who), &external) == nil && external.ID != "" {
			who = external.ID
		}
		d.sequences[who] = append(d.sequences[who], int(p["seq"].(float64)))
	}
	return true
}

// inOrder fails unless everybody's events came without a gap and in their order.
func (d *door) inOrder() {
	d.t.Helper()
	for who, sequence := range d.sequences {
		for i, seq := range sequence {
			if seq != i+1 {
				d.t.Errorf("%s: events came in the order %v", who, sequence)
				break
			}
		}
	}
}

func TestAStoryArrivesWholeAndInOrder(t *testing.T) {
	t.Parallel()
	d, front := newDoor(t)
	s, err := front.Send(t.Context(), Telling{Seed: 7, Customers: 40, Mishaps: FrontDoor}, Pace{Items: 3_000})
	if err != nil {
		t.Fatal(err)
	}
	d.inOrder()
	if s.Surprised != 0 || s.Known != 0 || s.Retries != 0 {
		t.Errorf("summary: %+v, want no surprises, nothing known, no retries", s)
	}
	addsUp(t, s)
	if s.Total.Sent < 3_000 || s.Total.Accepted != len(d.seen) {
		t.Errorf("sent %d and accepted %d, want at least 3,000 and the %d that arrived", s.Total.Sent, s.Total.Accepted, len(d.seen))
	}
}

func TestWhatIsNotTakenIsSentAgainWithTheSameIDs(t *testing.T) {
	t.Parallel()
	telling, pace := Telling{Seed: 7, Customers: 40, Mishaps: FrontDoor}, Pace{Items: 400}
	_, calm := newDoor(t)
	want, err := calm.Send(t.Context(), telling, pace)
	if err != nil {
		t.Fatal(err)
	}
	for name, setUp := range map[string]func(*door){
		"the door is too busy":             func(d *door) { d.status = http.StatusTooManyRequests },
		"Kafka is away":                    func(d *door) { d.status = http.StatusServiceUnavailable },
		"it was taken, the answer is lost": func(d *door) { d.status, d.swallow = http.StatusBadGateway, true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, front := newDoor(t)
			d.refuse = 7
			setUp(d)
			s, err := front.Send(t.Context(), telling, pace)
			if err != nil {
				t.Fatal(err)
			}
			d.inOrder()
			addsUp(t, s)
			if s.Retries == 0 || s.Surprised != 0 || s.Total.Lost != 0 || s.Known != 0 {
				t.Errorf("summary: %+v, want retries and nothing lost, known or surprising", s)
			}
			if diff := cmp.Diff(want.Rows, s.Rows); diff != "" {
				t.Errorf("what became of the items (-on a good day +today):\n%s", diff)
			}
		})
	}
}

func TestADoorThatStaysShutEndsTheStory(t *testing.T) {
	t.Parallel()
	d, front := newDoor(t)
	d.refuse, d.status = 1, http.StatusServiceUnavailable
	s, err := front.Send(t.Context(), Telling{Seed: 7}, Pace{Items: 100, Patience: 10 * time.Millisecond})
	if err == nil || s.Total.Lost == 0 || s.Total.Accepted != 0 {
		t.Errorf("error %v and summary %+v, want an error and nothing but losses", err, s.Total)
	}
	addsUp(t, s)
}

func TestTheSameSeedAgainIsKnownAndNoSurprise(t *testing.T) {
	t.Parallel()
	_, front := newDoor(t)
	var known []int
	for range 2 {
		s, err := front.Send(t.Context(), Telling{Seed: 9}, Pace{Items: 200})
		if err != nil || s.Surprised != 0 {
			t.Fatalf("error %v, surprises %v", err, s.Surprises)
		}
		known = append(known, s.Known)
	}
	// What clients send is answered without verdicts, so not all of it is known to be known.
	if known[0] != 0 || known[1] < 100 {
		t.Errorf("known: %v, want none and then most of 200", known)
	}
}

func TestAStoryEndsAfterItsDuration(t *testing.T) {
	t.Parallel()
	_, front := newDoor(t)
	s, err := front.Send(t.Context(), Telling{Seed: 7}, Pace{Rate: 200, Duration: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if s.Total.Sent == 0 || s.Total.Sent > 100 {
		t.Errorf("%d items at 200/s in 200 ms, want about 40", s.Total.Sent)
	}
}

func addsUp(t *testing.T, s Summary) {
	t.Helper()
	var total Row
	for _, r := range append(slices.Clone(s.Rows), s.Total) {
		if r.Sent != r.Accepted+r.Duplicate+r.Rejected+r.Lost {
			t.Errorf("%s: sent %d is not %d + %d + %d + %d", r.Mishap, r.Sent, r.Accepted, r.Duplicate, r.Rejected, r.Lost)
		}
	}
	for _, r := range s.Rows {
		total.Sent += r.Sent
		total.Accepted += r.Accepted
		total.Duplicate += r.Duplicate
		total.Rejected += r.Rejected
		total.Lost += r.Lost
	}
	total.Mishap = s.Total.Mishap
	if diff := cmp.Diff(total, s.Total); diff != "" {
		t.Errorf("the rows do not make up the total (-rows +total):\n%s", diff)
	}
}

package chaos

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// at is the time n seconds into a story.
func at(n float64) time.Time {
	return time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC).Add(time.Duration(n * float64(time.Second)))
}

func ada(seq int) Event { return Event{"ada", seq} }

// calm is a story in which nothing went wrong: ada has two events, which stand at 0/0 and 0/1 and were
// delivered by one request of sender s1.
func calm() *History {
	return &History{
		Asked: map[Event]Asking{ada(1): {Requests: 1, Accepted: true}, ada(2): {Requests: 1, Accepted: true}},
		Topic: []Record{
			{Offset: 0, Event: ada(1), Value: []byte("one")},
			{Offset: 1, Event: ada(2), Value: []byte("two")},
		},
		Requests: []Request{applied("s1", 1, 201, ada(1), ada(2))},
		Receipts: []Receipt{delivered(0, 1.1), delivered(1, 1.1)},
		Most:     75,
	}
}

func objects(events ...Event) []Object {
	list := make([]Object, len(events))
	for i, e := range events {
		list[i].Event = e
	}
	return list
}

// delivered is a receipt that was written at a time and could be read 0.1 s later.
func delivered(offset int64, written float64) Receipt {
	return Receipt{Offset: offset, Kind: outcome.Delivered, Settled: at(written), Seen: at(written + 0.1)}
}

func refused(offset int64, written float64) Receipt {
	r := delivered(offset, written)
	r.Kind, r.Reason = outcome.Refused, "item_error"
	return r
}

func killed(sender string, when float64) End {
	return End{Process: sender, Role: Sender, How: Killed, Begun: at(when), Gone: at(when + 0.01)}
}

func applied(sender string, when float64, status int, events ...Event) Request {
	return Request{Sender: sender, Arrived: at(when), Answered: at(when + 0.01), Status: status, Applied: true, Events: objects(events...)}
}

func unapplied(sender string, when float64, status int, events ...Event) Request {
	q := applied(sender, when, status, events...)
	q.Applied = false
	return q
}

func TestCheck(t *testing.T) {
	for _, tc := range []struct {
		name  string
		story func(h *History)
		want  []string // laws that are broken, in order of finding
		count func(r *Report) any
		is    any
	}{
		{name: "a calm story has no findings", story: func(*History) {}, count: func(r *Report) any { return r.Ends[outcome.Delivered] }, is: 2},

		// Lost.
		{
			name:  "an accepted event that is not on the topic is lost",
			story: func(h *History) { h.Asked[ada(3)] = Asking{Requests: 1, Accepted: true} },
			want:  []string{Lost},
		},
		{
			name:  "an event that was never accepted may be missing",
			story: func(h *History) { h.Asked[ada(3)] = Asking{Requests: 2, Unanswered: 2} },
		},
		{
			name:  "a record without a receipt is lost, as when its offset was committed first and the sender killed",
			story: func(h *History) { h.Receipts = h.Receipts[:1]; h.Requests[0].Events = objects(ada(1)) },
			want:  []string{Lost},
		},
		{
			name:  "a deferred receipt is no end",
			story: func(h *History) { h.Receipts[1].Kind = outcome.Deferred },
			want:  []string{Lost},
		},
		{
			name: "a skipped record has its end and needs no request",
			story: func(h *History) {
				h.Receipts[1].Kind = outcome.Skipped
				h.Requests[0].Events = objects(ada(1))
			},
			count: func(r *Report) any { return r.Ends[outcome.Skipped] }, is: 1,
		},
		{
			name:  "a receipt that says delivered of what Braze does not have is false",
			story: func(h *History) { h.Requests[0].Events = objects(ada(1)) },
			want:  []string{FalseYes},
		},
		{
			name:  "and so it is when Braze was asked and did not apply it",
			story: func(h *History) { h.Requests[0].Applied, h.Requests[0].Status = false, 503 },
			want:  []string{FalseYes, FalseYes},
		},
		{
			name: "an item that Braze refused was not delivered",
			story: func(h *History) {
				h.Requests[0].Events[1].Refused = true
			},
			want: []string{FalseYes},
		},

		// Order.
		{
			name: "a user's second event before the first is out of order",
			story: func(h *History) {
				h.Requests = []Request{applied("s1", 1, 201, ada(2)), applied("s1", 2, 201, ada(1))}
			},
			want: []string{Disorder},
		},
		{
			name:  "and so it is within one request",
			story: func(h *History) { h.Requests[0].Events = objects(ada(2), ada(1)) },
			want:  []string{Disorder},
		},
		{
			name: "an event that overtakes one which was answered 503 and not applied is out of order",
			story: func(h *History) {
				h.Requests = []Request{unapplied("s1", 1, 503, ada(1)), applied("s1", 1.1, 201, ada(2)), applied("s1", 2, 201, ada(1))}
			},
			want: []string{Disorder},
		},
		{
			name: "a request that came to nothing may be repeated before what follows",
			story: func(h *History) {
				h.Requests = []Request{unapplied("s1", 1, 429, ada(1)), unapplied("s1", 1.5, 0, ada(1)), applied("s1", 2, 201, ada(1), ada(2))}
			},
		},
		{
			name: "an event that was refused has had its turn",
			story: func(h *History) {
				h.Requests = []Request{applied("s1", 1, 201, ada(1)), applied("s1", 1.1, 201, ada(2))}
				h.Requests[0].Events[0].Refused = true
				h.Receipts[0] = refused(0, 1.1)
				h.Letters = []Letter{{Offset: 0, Value: []byte("one"), Written: at(1.1)}}
			},
			count: func(r *Report) any { return r.Ends[outcome.Refused] }, is: 1,
		},
		{
			name: "another user's events have an order of their own",
			story: func(h *History) {
				h.Asked[Event{"bob", 1}] = Asking{Requests: 1, Accepted: true}
				h.Topic = append(h.Topic, Record{Offset: 2, Event: Event{"bob", 1}})
				h.Requests = append(h.Requests, applied("s1", 3, 201, Event{"bob", 1}))
				h.Receipts = append(h.Receipts, delivered(2, 3.1))
			},
		},
		{
			name: "the topic itself is held to the order in which events were sent",
			story: func(h *History) {
				h.Topic[0].Event, h.Topic[1].Event = ada(2), ada(1)
				h.Requests[0].Events = objects(ada(1), ada(2))
			},
			want: []string{Disorder},
		},
		{
			name: "a profile that ends with an older attribute is out of order",
			story: func(h *History) {
				h.Requests[0].Marks = objects(ada(2))
				h.Requests = append(h.Requests, Request{Sender: "s1", Arrived: at(2), Status: 201, Applied: true, Marks: objects(ada(1))})
			},
			want: []string{Disorder},
		},
		{
			name: "a mark that is repeated in order is harmless",
			story: func(h *History) {
				h.Requests[0].Marks = objects(ada(1))
				h.Requests = append(h.Requests,
					Request{Sender: "s1", Arrived: at(2), Status: 201, Applied: true, Marks: objects(ada(1))},
					Request{Sender: "s1", Arrived: at(3), Status: 201, Applied: true, Marks: objects(ada(2))})
			},
		},

		// Duplicates at Braze.
		{
			name: "a duplicate without a cause",
			story: func(h *History) {
				h.Requests = append(h.Requests, applied("s1", 2, 201, ada(1)))
			},
			want: []string{Double},
		},
		{
			name: "a duplicate behind a 5xx that was applied is in doubt",
			story: func(h *History) {
				h.Requests[0].Status = 502
				h.Requests = append(h.Requests, applied("s1", 2, 201, ada(1), ada(2)))
			},
			count: func(r *Report) any { return r.Doubles[InDoubt] }, is: 2,
		},
		{
			name: "a duplicate behind a dropped connection is in doubt",
			story: func(h *History) {
				h.Requests[0].Status = 0
				h.Requests = append(h.Requests, applied("s1", 2, 201, ada(1), ada(2)))
			},
			count: func(r *Report) any { return r.Doubles[InDoubt] }, is: 2,
		},
		{
			name: "the doubt of one attempt does not excuse the next two",
			story: func(h *History) {
				h.Requests[0].Status = 0
				h.Requests = append(h.Requests, applied("s1", 2, 201, ada(1), ada(2)), applied("s1", 3, 201, ada(2)))
			},
			want: []string{Double},
		},
		{
			name: "what a sender had sent and not receipted when it was killed may be sent again",
			story: func(h *History) {
				h.Ends = []End{killed("s1", 1.05)}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(1), ada(2)))
				h.Receipts = []Receipt{delivered(0, 2.1), delivered(1, 2.1)}
			},
			count: func(r *Report) any { return []int{r.Doubles[Unreceipted], r.KilledSenders} }, is: []int{2, 1},
		},
		{
			name: "and so may what it had not had the answer of",
			story: func(h *History) {
				h.Ends = []End{killed("s1", 1.005)}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(1), ada(2)))
				h.Receipts = []Receipt{delivered(0, 2.1), delivered(1, 2.1)}
			},
			count: func(r *Report) any { return r.Doubles[InFlight] }, is: 2,
		},
		{
			name: "but not what its successor could read a receipt of",
			story: func(h *History) {
				h.Ends = []End{killed("s1", 1.3)}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(1)))
			},
			want: []string{Double},
		},
		{
			name: "nor by another sender than the one that was killed",
			story: func(h *History) {
				h.Ends = []End{killed("s9", 1.05)}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(1), ada(2)))
				h.Receipts = []Receipt{delivered(0, 2.1), delivered(1, 2.1)}
			},
			want: []string{Double, Double},
		},
		{
			name: "nor before the kill",
			story: func(h *History) {
				h.Ends = []End{killed("s1", 3)}
				h.Requests = append(h.Requests, applied("s1", 2, 201, ada(1)))
				h.Receipts[0] = delivered(0, 3.1)
			},
			want: []string{Double},
		},
		{
			name: "nor when the sender left in good order",
			story: func(h *History) {
				h.Ends = []End{{Process: "s1", Role: Sender, How: Left, Begun: at(1.05), Gone: at(1.06)}}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(1), ada(2)))
				h.Receipts = []Receipt{delivered(0, 2.1), delivered(1, 2.1)}
			},
			want: []string{Double, Double},
		},
		{
			name: "nor when it was the front door that was killed",
			story: func(h *History) {
				h.Ends = []End{{Process: "s1", Role: Door, How: Killed, Begun: at(1.05), Gone: at(1.06)}}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(1), ada(2)))
				h.Receipts = []Receipt{delivered(0, 2.1), delivered(1, 2.1)}
			},
			want: []string{Double, Double},
		},

		// Duplicates on the topic.
		{
			name: "a record stands twice because the door's answer was lost, and is delivered twice",
			story: func(h *History) {
				h.Asked[ada(2)] = Asking{Requests: 2, Unanswered: 1, Accepted: true}
				h.Topic = append(h.Topic, Record{Offset: 2, Event: ada(2), Value: []byte("two")})
				h.Requests = append(h.Requests, applied("s1", 2, 201, ada(2)))
				h.Receipts = append(h.Receipts, delivered(2, 2.1))
			},
			count: func(r *Report) any { return []int{r.Rewritten, r.Doubles[Twice]} }, is: []int{1, 1},
		},
		{
			name: "both records of an event may be sent again when their sender was killed",
			story: func(h *History) {
				h.Asked[ada(2)] = Asking{Requests: 2, Unanswered: 1, Accepted: true}
				h.Topic = append(h.Topic, Record{Offset: 2, Event: ada(2), Value: []byte("two")})
				h.Ends = []End{killed("s1", 1.05)}
				h.Requests = []Request{applied("s1", 1, 201, ada(1), ada(2), ada(2)), applied("s2", 2, 201, ada(1), ada(2), ada(2))}
				h.Receipts = []Receipt{delivered(0, 2.1), delivered(1, 2.1), delivered(2, 2.1)}
			},
			count: func(r *Report) any { return []int{r.Doubles[Unreceipted], r.Doubles[Twice]} }, is: []int{3, 1},
		},
		{
			name: "the doubt about one of two records does not excuse a third",
			story: func(h *History) {
				h.Asked[ada(2)] = Asking{Requests: 2, Unanswered: 1, Accepted: true}
				h.Topic = append(h.Topic, Record{Offset: 2, Event: ada(2), Value: []byte("two")})
				h.Requests = append(h.Requests, applied("s1", 2, 0, ada(2)), applied("s1", 3, 201, ada(2)), applied("s1", 4, 201, ada(2)))
				h.Receipts = append(h.Receipts, delivered(2, 3.1))
			},
			want:  []string{Double},
			count: func(r *Report) any { return []int{r.Doubles[InDoubt], r.Doubles[Twice], r.Unexplained} }, is: []int{1, 1, 1},
		},
		{
			name: "twice on the topic excuses one more at Braze, not two",
			story: func(h *History) {
				h.Asked[ada(2)] = Asking{Requests: 2, Unanswered: 1, Accepted: true}
				h.Topic = append(h.Topic, Record{Offset: 2, Event: ada(2), Value: []byte("two")})
				h.Requests = append(h.Requests, applied("s1", 2, 201, ada(2)), applied("s1", 3, 201, ada(2)))
				h.Receipts = append(h.Receipts, delivered(2, 2.1))
			},
			want: []string{Double},
		},
		{
			name: "a record that stands twice although every answer came is a duplicate of the door's making",
			story: func(h *History) {
				h.Topic = append(h.Topic, Record{Offset: 2, Event: ada(2), Value: []byte("two")})
				h.Requests = append(h.Requests, applied("s1", 2, 201, ada(2)))
				h.Receipts = append(h.Receipts, delivered(2, 2.1))
			},
			want: []string{Double},
		},

		// Receipts.
		{
			name:  "two receipts without a crash between",
			story: func(h *History) { h.Receipts = append(h.Receipts, delivered(1, 5)) },
			want:  []string{TwoEnds},
		},
		{
			name: "two receipts with a crash between, the first on its way when the sender was killed",
			story: func(h *History) {
				h.Ends = []End{killed("s1", 1.15)}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(1), ada(2)))
				h.Receipts = append(h.Receipts, delivered(0, 2.1), delivered(1, 2.1))
			},
			count: func(r *Report) any { return r.TwoReceipts }, is: 2,
		},
		{
			name: "two receipts with a crash between, of which the first could be read before it: not recalled",
			story: func(h *History) {
				h.Ends = []End{killed("s1", 1.5)}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(1), ada(2)))
				h.Receipts = append(h.Receipts, delivered(0, 2.1), delivered(1, 2.1))
			},
			want: []string{TwoEnds, TwoEnds, Double, Double},
		},
		{
			name:  "a receipt of a record that does not exist",
			story: func(h *History) { h.Receipts = append(h.Receipts, delivered(99, 1)) },
			want:  []string{Strange},
		},

		// Dead letters.
		{
			name: "a refused record without a dead letter",
			story: func(h *History) {
				h.Requests[0].Events[1].Refused = true
				h.Receipts[1] = refused(1, 1.1)
			},
			want: []string{DeadLetters},
		},
		{
			name: "a dead letter with other bytes than the record",
			story: func(h *History) {
				h.Requests[0].Events[1].Refused = true
				h.Receipts[1] = refused(1, 1.1)
				h.Letters = []Letter{{Offset: 1, Value: []byte("2"), Written: at(1.1)}}
			},
			want: []string{DeadLetters},
		},
		{
			name:  "a dead letter of a record that was delivered",
			story: func(h *History) { h.Letters = []Letter{{Offset: 1, Value: []byte("two"), Written: at(1.1)}} },
			want:  []string{DeadLetters},
		},
		{
			name: "a dead letter of a record that was delivered after all, the sender having been killed before the receipt",
			story: func(h *History) {
				h.Requests[0].Events[1].Refused = true
				h.Ends = []End{killed("s1", 1.15)}
				h.Letters = []Letter{{Offset: 1, Value: []byte("two"), Written: at(1.1)}}
				h.Requests = append(h.Requests, applied("s2", 2, 201, ada(2)))
				h.Receipts[1] = delivered(1, 2.1)
			},
		},
		{
			name: "two dead letters without a crash between",
			story: func(h *History) {
				h.Requests[0].Events[1].Refused = true
				h.Receipts[1] = refused(1, 1.1)
				h.Letters = []Letter{{Offset: 1, Value: []byte("two"), Written: at(1.1)}, {Offset: 1, Value: []byte("two"), Written: at(2)}}
			},
			want: []string{DeadLetters},
		},
		{
			name: "a refusal that Braze never spoke",
			story: func(h *History) {
				h.Receipts[1] = refused(1, 1.1)
				h.Requests[0].Events = objects(ada(1))
				h.Letters = []Letter{{Offset: 1, Value: []byte("two"), Written: at(1.1)}}
			},
			want: []string{FalseYes},
		},

		// Manners.
		{
			name:  "a request with more objects than are allowed",
			story: func(h *History) { h.Most = 1 },
			want:  []string{Sandbox},
		},
		{
			name:  "what the sandbox objects to",
			story: func(h *History) { h.Sandbox = []string{"ada is in two requests"} },
			want:  []string{Sandbox},
		},
		{
			name: "a process that ends by itself",
			story: func(h *History) {
				h.Ends = []End{{Process: "s1", Role: Sender, How: Died, Gone: at(1), Words: "panic"}}
			},
			want: []string{Ended},
		},
		{
			name: "an event that nobody sent",
			story: func(h *History) {
				h.Topic = append(h.Topic, Record{Offset: 2, Event: ada(9)})
				h.Receipts = append(h.Receipts, delivered(2, 1.1))
				h.Requests[0].Events = append(h.Requests[0].Events, objects(ada(9))...)
			},
			want: []string{Strange, Strange},
		},
		{
			name:  "bytes on a topic that nobody can read",
			story: func(h *History) { h.Strange = []string{"customer.events 0/7: not Avro"} },
			want:  []string{Strange},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := calm()
			tc.story(h)
			r := Check(h)
			var laws []string
			for _, f := range r.Findings {
				laws = append(laws, f.Law)
			}
			if diff := cmp.Diff(tc.want, laws); diff != "" {
				t.Errorf("laws broken (-want +got):\n%s%s", diff, r)
			}
			if tc.count != nil {
				if diff := cmp.Diff(tc.is, tc.count(r)); diff != "" {
					t.Errorf("count (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestAReportSaysTheLawInNumbers(t *testing.T) {
	h := calm()
	h.Ends = []End{killed("s1", 1.05)}
	h.Requests = append(h.Requests, unapplied("s2", 1.5, 429, ada(1)), applied("s2", 2, 201, ada(1), ada(2)))
	h.Receipts = []Receipt{delivered(0, 2.1), delivered(1, 2.1)}
	h.Took = 3 * time.Second
	want := `  events       2 accepted of 2 sent, 1 users
  records      2 = 2 delivered + 0 skipped + 0 refused + 0 held
  requests     3 with 5 objects: 2 applied; 0 unanswered, 1 answered 429, 0 answered 5xx
  kills        1: braze-sender 1, ingest 0; 0 left in good order, 0 joined; a broker was away 0 times
  duplicates   2 at Braze: 0 in doubt, 0 in flight at a kill, 2 answered and not receipted at a kill, 0 twice on the topic; 0 unexplained; 0 records written twice, 0 receipted twice
               an answer had waited 40ms for its receipt at most when its sender was killed
  time         3s
  nothing lost, nobody out of order, every duplicate explained
`
	if diff := cmp.Diff(want, Check(h).String()); diff != "" {
		t.Error(diff)
	}
}

func TestAReportDoesNotDrownInFindings(t *testing.T) {
	h := calm()
	for i := range 30 {
		h.Sandbox = append(h.Sandbox, fmt.Sprint("objection ", i))
	}
	text := Check(h).String()
	if got := strings.Count(text, "BROKEN"); got != shown+1 || !strings.Contains(text, "and 20 more") {
		t.Errorf("%d lines:\n%s", got, text)
	}
}

package brazesender

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/outcome"
)

// What a hostile reading found in the lane, the settler and the queue.

func TestAUserWhoIsAlwaysBusyHasOneTimer(t *testing.T) {
	s := &Sender{lines: newLines(braze.Config{MaxObjects: 75}, Options{}), config: Config{Sender: Options{InFlight: 1, UserSpacing: 2 * time.Second}}}
	l := newLane(s)
	u := l.newUser("u")
	ln := s.lines.track[1]
	now := time.Now()
	for range 3600 { // the same attribute once a second, for an hour
		now = now.Add(time.Second)
		l.wake(now)
		u.wrote([]load{{record(t, ln, "1", `{"plan":"gold"}`, false), 0, 1}}, now.Add(2*time.Second))
		l.rest(u, now)
		if n := len(l.waiting.h); n > 10 {
			t.Fatalf("%d timers for one user who has nothing queued", n)
		}
	}
	if l.wake(now.Add(3 * time.Second)); !u.resting || len(l.waiting.h) != 0 {
		t.Errorf("in the end the user does not rest: %d timers", len(l.waiting.h))
	}
}

func TestWhatNeverWentToKafkaIsNoSignOfKafka(t *testing.T) {
	s := &settler{metrics: newMetrics(prometheus.NewRegistry())}
	s.quiet.L = &s.mu
	var seen flow
	now := time.Now()
	s.begin(100) // receipts that Kafka does not take
	s.began.Store(now.UnixNano())
	seen.going(s, now)
	for range 100 { // every 100 ms an answer of which a part is delivered and another is to follow
		now = now.Add(100 * time.Millisecond)
		f := &flight{loads: make([]load, 1), outcomes: []outcome.Outcome{{Kind: outcome.Deferred, Reason: underWay}}}
		s.settleAll(f, span{0, 1}, answer{})
		if !seen.going(s, now) {
			return
		}
	}
	t.Error("10 s without any receipt durable, and more is sent")
}

func TestWhatBrazeAddsDoesNotFold(t *testing.T) {
	ln := live(75, false)
	u := &user{}
	u.push(record(t, ln, "1", `{"subscription_groups":[{"subscription_group_id":"g1","subscription_state":"subscribed"}]}`, false))
	u.push(record(t, ln, "2", `{"subscription_groups":[{"subscription_group_id":"g2","subscription_state":"unsubscribed"}]}`, false))
	r := ln.room(false)
	if loads, _, _ := u.share(nil, ln, &r, time.Now(), time.Time{}); len(loads) != 1 {
		t.Errorf("%v travel in one object, which would say only what the last of them says", names(loads))
	}
}

func TestAnEndpointThatHangsDoesNotTakeEveryFlight(t *testing.T) {
	s := &Sender{lines: newLines(braze.Config{MaxObjects: 75}, Options{}), config: Config{Sender: Options{InFlight: 4}}}
	l := newLane(s)
	campaign := s.lines.find(lineKey{endpoint: braze.CampaignsTriggerSend, prefix: `{"recipients":[`, suffix: `]}`})
	now := time.Now()
	for i, ln := range []*line{campaign, s.lines.track[1]} {
		u := l.newUser(string(rune('a' + i)))
		u.push(record(t, ln, "1", "", true))
		l.markReady(u, now)
	}
	nobody := func(time.Time) {}
	l.flights = make([]*flight, 2)
	campaign.outlet.flights = 1
	if !l.mayGo(campaign, now, nobody) {
		t.Error("a second request to the endpoint may go")
	}
	campaign.outlet.flights = 2
	if l.mayGo(campaign, now, nobody) {
		t.Error("half of the flights are the endpoint's, and it takes another")
	}
	if !l.mayGo(s.lines.track[1], now, nobody) {
		t.Error("the others may go on")
	}
}

func TestAStoppedEndpointIsAskedByOneRequestAtATime(t *testing.T) {
	now := time.Now()
	out := &outlet{endpoint: braze.CampaignsTriggerSend}
	out.gate.learn(&flight{line: &line{outlet: out}, verdict: braze.Stopped, status: 403, message: "no"}, now)
	if until, closed := out.gate.closed(now, 0); !closed || !until.After(now) {
		t.Errorf("closed %v until %v", closed, until)
	}
	later := now.Add(time.Minute)
	if _, closed := out.gate.closed(later, 0); closed {
		t.Error("after a while somebody has to ask")
	}
	if _, closed := out.gate.closed(later, 1); !closed {
		t.Error("a second one asks beside the first")
	}
	out.gate.learn(&flight{line: &line{outlet: out}, verdict: braze.Accepted}, later)
	if _, closed := out.gate.closed(later, 1); closed || out.gate.stopped != nil {
		t.Error("it lets us in again, and stays closed")
	}
}

package brazefake

import (
	"cmp"
	"container/heap"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/braze/brazefake/outgoing"
)

// Currents says where the sandbox reports what customers do, and how they do it. What is reported is what
// it was told and what follows from that:
//
//	reports.go   events and purchases, changed subscriptions, tried webhooks
//	mailing.go   a message to one user: sent, delivered, opened, clicked, bounced, unsubscribed
//	outgoing/    how it goes out, and what becomes of it
type Currents struct {
	outgoing.Options

	AppGroup string // id of the workspace; one of the sandbox's own when empty
	// Reaction is about how long people take to open a message, and then to click; 2 s when 0, where in
	// life it is hours.
	Reaction time.Duration
	// Marketing is the probability that an event of a customer triggers a message to them, as an
	// action-based campaign does. Without it only what is asked for by the API is sent.
	Marketing float64

	// Webhooks is the URL under which the sandbox finds the receivers of webhooks by their names, with a
	// slash at the end; none are sent when empty.
	Webhooks      string
	WebhookHeader http.Header
}

// reporter makes events and sends them.
type reporter struct {
	options   Currents
	connector *outgoing.Connector
	webhooks  *outgoing.Webhooks
	sandbox   *Sandbox

	mu     sync.Mutex
	dice   *rand.Rand
	later  schedule
	number int // of webhooks
	wake   chan struct{}
}

// appGroup is the id of the sandbox's own workspace.
const appGroup = "0b4c7f52-5a4d-4b0e-8f53-7f2a9d1e6c01"

// SendCurrents reports what customers do until the context ends. Only what happens meanwhile is reported:
// there is no backfill (braze-docs: faq). Only one call at a time may be under way.
func (s *Sandbox) SendCurrents(ctx context.Context, o Currents) {
	o.AppGroup = cmp.Or(o.AppGroup, appGroup)
	o.Reaction = cmp.Or(o.Reaction, 2*time.Second)
	r := &reporter{
		options: o, connector: outgoing.New(o.Options), sandbox: s,
		dice: rand.New(rand.NewPCG(o.Seed, 0x0BE4)), //nolint:gosec // no secret
		wake: make(chan struct{}, 1),
	}
	r.webhooks = outgoing.NewWebhooks(outgoing.WebhookOptions{Client: o.Client, Tried: r.tried})
	s.reporter.Store(r)
	var all sync.WaitGroup
	all.Go(func() { r.connector.Run(ctx) })
	all.Go(func() { r.webhooks.Run(ctx) })
	all.Go(func() { r.happen(ctx) })
	all.Wait()
}

// CurrentsReport tells the books of what the last SendCurrents has sent, with at most so many events of a
// fate, of any when that is empty. ok is false where there was none.
func (s *Sandbox) CurrentsReport(fate outgoing.Fate, most int) (report outgoing.Report, ok bool) {
	r := s.reporter.Load()
	if r == nil {
		return outgoing.Report{State: outgoing.Stopped, Why: "nobody has connected it"}, false
	}
	return r.connector.Report(fate, most), true
}

// reported is an event as Braze sends it (braze-docs: custom_http_connector).
type reported struct {
	Type       string         `json:"event_type"`
	ID         string         `json:"id"`
	Time       int64          `json:"time"`
	User       map[string]any `json:"user"`
	Properties map[string]any `json:"properties"`
}

// report queues an event about somebody.
func (r *reporter) report(typ string, at time.Time, who *face, properties map[string]any) {
	e := reported{Type: typ, ID: newEventID(), Time: at.Unix(), User: who.json(typ), Properties: properties}
	properties["app_group_id"] = r.options.AppGroup
	body, err := json.Marshal(e)
	if err != nil {
		return // made of strings and of JSON that was checked: there is no such event
	}
	r.connector.Add(outgoing.Event{ID: e.ID, Type: typ, User: who.key, JSON: body})
}

// newEventID is another each time, whatever the seed: the same story told twice are two stories.
func newEventID() string {
	hi, lo := rand.Uint64(), rand.Uint64() //nolint:gosec // no secret
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", hi>>32, hi>>16&0xffff, hi&0xfff, lo>>50|0x8000, lo&0xffff_ffff_ffff)
}

// chance throws the dice.
func (r *reporter) chance(p float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return chance(r.dice, p)
}

// after lets something happen in about that time.
func (r *reporter) after(d time.Duration, do func(at time.Time)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.later) >= maxPending {
		return // people have lost interest
	}
	heap.Push(&r.later, happening{time.Now().Add(between(r.dice, d/2, d*3/2)), do})
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// happen lets things happen when their time has come.
func (r *reporter) happen(ctx context.Context) {
	for ctx.Err() == nil {
		r.mu.Lock()
		wait := time.Hour
		var due *happening
		if len(r.later) > 0 {
			if wait = time.Until(r.later[0].at); wait <= 0 {
				h := heap.Pop(&r.later).(happening)
				due = &h
			}
		}
		r.mu.Unlock()
		if due != nil {
			due.do(due.at)
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// happening is something that has yet to happen.
type happening struct {
	at time.Time
	do func(at time.Time)
}

// schedule is a heap of them, the first to happen in front.
type schedule []happening

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s schedule) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *schedule) Push(x any)        { *s = append(*s, x.(happening)) }
func (s *schedule) Pop() any {
	old := *s
	last := old[len(old)-1]
	*s = old[:len(old)-1]
	return last
}

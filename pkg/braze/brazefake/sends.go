package brazefake

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/internal/jsonscan"
)

// Send is one message, or one entry into a Canvas, that was asked for.
type Send struct {
	Request    int64     `json:"request"`
	At         time.Time `json:"at"`
	Endpoint   string    `json:"endpoint"`
	Campaign   string    `json:"campaign,omitempty"` // or Canvas
	SendID     string    `json:"send_id,omitempty"`
	DispatchID string    `json:"dispatch_id"`
	// User is whom it goes to, by canonical id; empty for a broadcast.
	User string `json:"user,omitempty"`
	// Properties are the trigger_properties or the context, the recipient's over those of the request; of
	// /messages/send, the messages.
	Properties json.RawMessage `json:"properties,omitempty"`
	// ExternalSendID is that of a transactional send.
	ExternalSendID string          `json:"external_send_id,omitempty"`
	Audience       json.RawMessage `json:"audience,omitempty"` // of a broadcast
	Broadcast      bool            `json:"broadcast,omitempty"`
	// Unsent is why nothing was sent although the call succeeded; empty when something was.
	Unsent string `json:"unsent,omitempty"`
}

// sendLog is what was sent; beyond limit the oldest sends are forgotten.
type sendLog struct {
	limit int
	mu    sync.Mutex
	list  []Send
	taken map[string]taken // external_send_ids
}

// taken is an external_send_id that has been used.
type taken struct {
	at     time.Time
	answer []byte // of the send that took it; nil while it is queued
}

const externalSendIDKept = 24 * time.Hour // braze-docs: post_send_transactional_message

func (l *sendLog) init(limit int) {
	l.limit = limit
	l.taken = map[string]taken{}
}

func (l *sendLog) add(sends []Send) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = bounded(append(l.list, sends...), l.limit)
}

func (l *sendLog) last(n int, user string) []Send {
	l.mu.Lock()
	defer l.mu.Unlock()
	return newest(l.list, n, func(s *Send) bool { return user == "" || s.User == user })
}

func (l *sendLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list, l.taken = nil, map[string]taken{}
}

// Sends are all sends that are remembered, in the order in which they were carried out.
func (s *Sandbox) Sends() []Send {
	s.sends.mu.Lock()
	defer s.sends.mu.Unlock()
	return slices.Clone(s.sends.list)
}

// spendOnSend takes a send out of its pool: the general one, or as a broadcast that of broadcasts and of
// its audience (braze-docs: api_limits).
func (s *Sandbox) spendOnSend(c *call, h http.Header, body []byte) reply {
	members := dictionary(body)
	if string(members["broadcast"]) != "true" {
		return s.spend(c, h, braze.PoolGeneral)
	}
	if answer := s.spend(c, h, braze.PoolBroadcast); answer.status != 0 || c.knobs.rateOf(braze.PoolBroadcast).IsZero() {
		return answer
	}
	var audience strings.Builder
	for _, name := range []string{"campaign_id", "canvas_id", "segment_id", "audience"} {
		audience.Write(members[name])
		audience.WriteByte(0)
	}
	return s.spendOnAudience(c, h, audience.String())
}

// sendTo sends to each recipient who exists, or is created, after setting their attributes.
func (s *Sandbox) sendTo(send Send, properties []byte, recipients []recipient, canvas bool) {
	if send.Broadcast {
		send.Properties = raw(properties)
		s.sends.add([]Send{send})
		return
	}
	s.people.whole.RLock()
	defer s.people.whole.RUnlock()
	sends := make([]Send, 0, len(recipients))
	for _, r := range recipients {
		one := send
		one.User, one.Properties = r.who.key(), over(properties, r.properties)
		who := s.people.resolve(r.target)
		if who == nil && r.create {
			who = s.people.findOrCreate(r.who)
		}
		if who == nil {
			s.counters.nobody.Add(1)
			one.Unsent = firstOf(one.Unsent, "no such user")
		} else if len(r.attributes) > 0 {
			s.setAttributes(who, &object{raw: without(r.attributes, canvas)})
		}
		if who != nil {
			s.told(who, &one)
		}
		sends = append(sends, one)
	}
	s.sends.add(sends)
}

// without leaves the subscription groups out of a Canvas's attributes, which by default may not change
// them (braze-docs: post_send_triggered_canvases).
func without(attributes []byte, canvas bool) []byte {
	if !canvas {
		return attributes
	}
	out := []byte{'{'}
	for name, value := range jsonscan.Members(attributes) {
		if string(name) == "subscription_groups" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), name...), `":`...)
		out = append(out, value...)
	}
	return append(out, '}')
}

// over is an object with the members of another laid over it.
func over(under, top []byte) json.RawMessage {
	switch {
	case len(under) == 0:
		return raw(top)
	case len(top) == 0:
		return raw(under)
	}
	return deepMerge(under, top, 0)
}

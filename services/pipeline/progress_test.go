package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
	brazesender "github.com/sluicehq/sluice/services/braze-sender"
	"github.com/sluicehq/sluice/services/ingest"
)

func TestTheLawIsReadFromTheBooksOfEveryService(t *testing.T) {
	t.Parallel()
	c := counters{}
	count := func(service, name string, n float64, labels ...string) {
		if c[service] == nil {
			c[service] = prometheus.NewRegistry()
		}
		var names, values []string
		for i := 0; i < len(labels); i += 2 {
			names, values = append(names, labels[i]), append(values, labels[i+1])
		}
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name}, names)
		if already := (prometheus.AlreadyRegisteredError{}); errors.As(c[service].Register(v), &already) {
			v = already.ExistingCollector.(*prometheus.CounterVec)
		}
		v.WithLabelValues(values...).Add(n)
	}
	for _, route := range []string{"events", "commerce", "commerce", "profiles", "cases", "hooks", "polls"} {
		count(ingest.Name, "sluice_ingest_accepted_total", 1, "route", route)
	}
	for _, end := range []string{"delivered", "delivered", "skipped", "refused"} {
		count(attributesync.Name, "sluice_attributes_settled_total", 1, "topic", "customer.profiles", "outcome", end, "reason", "")
	}
	count(attributesync.Name, "sluice_attributes_accepted_total", 4)
	held := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_attributes_held"})
	held.Set(3)
	c[attributesync.Name].MustRegister(held)
	count(brazesender.Name, "sluice_sender_accepted_total", 9)
	count(brazesender.Name, "sluice_sender_settled_total", 5, "outcome", "delivered", "reason", "")
	count(brazesender.Name, "sluice_sender_recalled_total", 2, "outcome", "delivered")
	want := Law{
		Door: 7, Commerce: 2, Profiles: 1, Cases: 1, Hooks: 1, Polls: 1,
		Sync:  Books{Accepted: 4, Delivered: 2, Skipped: 1, Refused: 1, Held: 3},
		Books: Books{Accepted: 9, Delivered: 7, Held: 2},
	}
	law := c.law()
	if diff := cmp.Diff(want, law); diff != "" {
		t.Errorf("the law (-want +got):\n%s", diff)
	}
	const line = "front door 7 (commerce 2, profiles 1, cases 1, webhooks 1, polls 1)   " +
		"to profiles: taken 4 = delivered 2 + skipped 1 + refused 1   to Braze: taken 9 = delivered 7 + skipped 0 + refused 0 + held 2"
	if got := law.String(); got != line {
		t.Errorf("in one line it is\n%s\nwant\n%s", got, line)
	}
	if got := (Law{Door: 1}).String(); got != "front door 1   to Braze: taken 0 = delivered 0 + skipped 0 + refused 0 + held 0" {
		t.Errorf("with nothing but an event it is %q", got)
	}
}

// A drain waits while attribute-sync lingers over what it holds, and then for what the sender gets of it.
func TestADrainWaitsForWhatLingersWithProfiles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sync, sender := prometheus.NewRegistry(), prometheus.NewRegistry()
		held := prometheus.NewGauge(prometheus.GaugeOpts{Name: "sluice_attributes_held"})
		sync.MustRegister(held)
		taken := prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_sender_accepted_total"})
		done := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_sender_settled_total"}, []string{"outcome"})
		sender.MustRegister(taken, done)
		l := &Pipeline{counters: counters{attributesync.Name: sync, brazesender.Name: sender}}
		l.config.Sync.Sync.Linger = time.Second
		held.Set(1)
		go func() {
			<-time.After(time.Second)
			held.Set(0)
			<-time.After(200 * time.Millisecond)
			taken.Inc()
			<-time.After(500 * time.Millisecond)
			done.WithLabelValues("delivered").Inc()
		}()
		began := time.Now()
		l.settled(t.Context())
		if took, least := time.Since(began), 1700*time.Millisecond+quietFor; took < least || took > least+3*settleEvery {
			t.Errorf("it waited %v, want %v", took, least)
		}
		began = time.Now()
		l.settled(t.Context()) // for the next stage
		if took := time.Since(began); took != 0 {
			t.Errorf("it waited %v once more, although nothing has moved", took)
		}
		taken.Inc()
		began = time.Now()
		l.settled(t.Context()) // somebody holds it for ever
		if took, most := time.Since(began), settleFor+time.Second; took != most {
			t.Errorf("it waited %v for what is never settled, want %v", took, most)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		l.settled(ended)
	})
}

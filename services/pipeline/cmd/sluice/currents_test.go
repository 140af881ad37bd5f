package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/services/currents-fanout/watch"
	"github.com/sluicehq/sluice/services/pipeline/currents"
)

func TestCurrentsIsPrintedWithWhatIsWrong(t *testing.T) {
	now := time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC)
	ago := func(d time.Duration, v watch.Verdict, allowed time.Duration) watch.Flow {
		return watch.Flow{
			Verdict: v, Events: 2400, LastHour: 7, UsualHour: 100, Newest: now.Add(-d), AgeSeconds: d.Seconds(), AllowedSeconds: allowed.Seconds(),
		}
	}
	cutOff, half, tenth := now.Add(4*24*time.Hour+3*time.Hour), 0.5, 0.1
	v := currents.View{Hours: 24, Snapshot: watch.Snapshot{
		At: now,
		Connectors: []watch.Connector{
			{Flow: ago(time.Second, watch.Dropped, time.Hour)},
			{Workspace: "bank", Flow: ago(21*time.Hour, watch.Silent, time.Hour), CutOff: &cutOff},
		},
		Types: []watch.Type{
			{Type: "users.messages.email.Open", Flow: ago(90*time.Minute, watch.Silent, 30*time.Minute)},
			{Type: "users.messages.sms.Send", Flow: ago(25*time.Hour, watch.Irregular, 0)},
			{Workspace: "bank", Type: "users.messages.email.Send", Flow: ago(21*time.Hour, watch.Unheard, time.Hour)},
		},
		Steps: []watch.Step{
			{StepKey: watch.StepKey{Canvas: "cv", Step: "st", Channel: "push"}, Name: "Wel\tcome\x1b", Sends: 10, Bounces: 1, SoftBounces: 1, Opened: &half, Bounced: &tenth},
			{StepKey: watch.StepKey{Workspace: "bank", Campaign: "c2"}},
		},
		Repeats: 3,
	}}
	var out, said bytes.Buffer
	a := &app{stdout: &out, stderr: &said}
	if err := a.currents(v, 1); err != nil {
		t.Fatal(err)
	}
	const want = `CONNECTOR	EVENT_TYPE	EVENTS	PER_HOUR	LAST_HOUR	USUAL_HOUR	NEWEST	AGE	VERDICT
none	all	2400	100.0	7	100	2026-06-10T11:59:59Z	1s	dropped
none	users.messages.email.Open	2400	100.0	7	100	2026-06-10T10:30:00Z	1h30m	silent for more than 30m0s
none	users.messages.sms.Send	2400	100.0	7	100	2026-06-09T11:00:00Z	1d1h	irregular
bank	all	2400	100.0	7	100	2026-06-09T15:00:00Z	21h0m	silent for more than 1h0m; Braze gives it up in 4d3h
bank	users.messages.email.Send	2400	100.0	7	100	2026-06-09T15:00:00Z	21h0m	its connector is silent

CONNECTOR	CAMPAIGN_OR_STEP	NAME	CHANNEL	SENDS	DELIVERED	BOUNCES	OPENS	BY_MACHINE	CLICKS	BY_BOT	UNSUBS	DELIVERED%	BOUNCED%	OPENED%	CLICKED%	UNSUB%
none	cv/st	Wel?come?	push	10	0	2	0	0	0	0	0	-	10.0	50.0	-	-
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if said.String() != "3 repeats are not counted\n" {
		t.Errorf("said %q", said.String())
	}
}

func TestDriftsArePrintedWithAMaskedExample(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, stderr: &out}
	err := a.drifts(currents.Drifts{Events: 9, Drifts: []currents.Drift{
		{Type: "users.new.Thing", What: "unknown_type", Events: 2, First: time.Date(2026, 6, 10, 12, 0, 0, 0, time.UTC), Example: `{"a":"xx"}`},
	}})
	if err != nil {
		t.Fatal(err)
	}
	const want = "EVENT_TYPE\tFIELD\tWHAT\tEVENTS\tFIRST\tEXAMPLE\nusers.new.Thing\t-\tunknown_type\t2\t2026-06-10T12:00:00.000Z\t{\"a\":\"xx\"}\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	out.Reset()
	if err := a.drifts(currents.Drifts{Events: 9}); err != nil || out.String() != "nothing in 9 events that is not in the catalogue\n" {
		t.Errorf("%v, said %q", err, out.String())
	}
}

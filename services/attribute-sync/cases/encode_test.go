package cases

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/event"
)

// full is a state with something in every part.
func full(t *testing.T) *State {
	t.Helper()
	s := newScene(t, func(r *Rules) { r.SuppressGroup, r.AssumeSubscribed = "5b3a5b0e-1111-4222-8333-444455556666", true })
	s.takes(report("opened", 0, of("old")), report("rated", 0, of("old"), rate(10)))
	s.takes(
		report("opened", 8*day, of("35436"), severe("low"), through("email")),
		report("escalated", 8*day+hour, of("35436")),
		report("resolved", 8*day+2*hour, of("35436"), saying(`{"deleted":true}`)),
		report("rated", 8*day+3*hour, of("35436"), rate(1)),
		report("reopened", 8*day+6*hour, of("35436")),
		report("resolved", 8*day+7*hour, of("35436")),
		report("rated", 10*day, rate(0), from("intercom"), of("c_1")),
		report("at_risk", 10*day, from("intercom"), of("c_2"), severe("urgent")),
	).after(31 * day)
	s.rules.Group(&s.state, "", start.Add(30*day))
	return &s.state
}

// The bytes lie in Kafka for as long as a customer has cases: they may only change together with their
// version. GOLDEN=write rewrites them.
func TestTheBytesOfAState(t *testing.T) {
	s := full(t)
	if s.seen == 0 || s.past == 0 || s.last.at == 0 || s.group == "" || s.Len() != 3 || s.cases[2].surveyed == 0 || s.cases[2].wonBack == 0 {
		t.Fatalf("a part of it is empty: %+v", s)
	}
	b := s.Append(nil)
	path := filepath.Join("testdata", "state.hex")
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(hex.Dump(b)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), hex.Dump(b)); diff != "" {
		t.Error(diff)
	}
	var again State
	if err := again.Decode(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, &again, cmp.AllowUnexported(State{}, file{}, key{}, rating{}, opening{}, channel{})); diff != "" {
		t.Error(diff)
	}
}

func TestNoBytesAreAStateThatKnowsNothing(t *testing.T) {
	s := full(t)
	if err := s.Decode(nil); err != nil || !s.Empty() {
		t.Errorf("%v, empty: %t", err, s.Empty())
	}
	rules := Defaults()
	if list := rules.Attributes(s, start); len(list) > 0 || !rules.Due(s).IsZero() || !rules.SuppressedUntil(s).IsZero() {
		t.Errorf("%v, due %v", list, rules.Due(s))
	}
}

func TestBytesThatAreNoStateAreAnErrorAndLeaveNothing(t *testing.T) {
	good := full(t).Append(nil)
	var s State
	if err := s.Decode([]byte{1, 0, 0, 0, 0, 0, 1, 1, 'a', 1, 'a', 3, 5, 0, 0}); err != nil || s.Len() != 1 {
		t.Fatalf("what most of the rows below spoil is none itself: %v", err)
	}
	for n := 1; n < len(good); n++ { // cut off anywhere
		if err := s.Decode(good[:n]); !errors.Is(err, ErrState) || !s.Empty() || s.seen != 0 {
			t.Fatalf("%d of %d bytes: %v, %+v", n, len(good), err, s)
		}
	}
	for _, tt := range []struct{ name, bytes string }{
		{"another version", "0200000000000000"},
		{"something behind the end", "0100000000000000"},
		{"a number in a longer form than needed", "0180000000000000"},
		{"more cases than are kept", "010000000000c901"},
		{"a case without a source", "010000000000010001610305" + "00" + "00"},
		{"a case that nothing was heard of", "010000000000010161" + "0161" + "0000"},
		{"a case before the first of its kind", "01000000000002" + "0162" + "0161" + "03050000" + "0161" + "0161" + "03050000"},
		{"news older than the beginning", "01000000000001" + "0161" + "0161" + "03050100"},
		{"moments counted from before the earliest", "01000000000001" + "0161" + "0161" + "03050101"},
		{"a source written out that is that of the case before", "01000000000002" + "0161" + "0161" + "03050000" + "0161" + "0162" + "03050000"},
		{"a severity that was never said", "01000000000001" + "0161" + "0161" + "83400500" + "00"},
		{"a moment beyond all years", "01ffffffffffff7f0000000000"},
		{"a rating beyond the scale", "01" + "00" + "00" + "05" + "0b" + "00" + "00"},
		{"a rating without its moment", "01" + "00" + "00" + "00" + "01" + "00" + "00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := hex.DecodeString(tt.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Decode(b); !errors.Is(err, ErrState) || !s.Empty() {
				t.Errorf("%v, %d cases", err, s.Len())
			}
		})
	}
	if err := s.Decode(make([]byte, maxState+1)); !errors.Is(err, ErrState) {
		t.Error(err)
	}
}

func TestTheLargestStateThereCanBeIsRead(t *testing.T) {
	s := newScene(t, func(r *Rules) { r.SuppressGroup, r.AssumeSubscribed = "5b3a5b0e-1111-4222-8333-444455556666", true })
	for i := range MaxCases {
		own := func(c *event.Case) {
			c.Source, c.CaseID = fmt.Sprintf("%0255d", i), fmt.Sprintf("%0255d", i)
			c.Channel = strings.Repeat("c", MaxText)
		}
		for _, c := range []*event.Case{report("opened", 0, own), report("resolved", hour, own), report("rated", hour, own, rate(0))} {
			if _, p := s.rules.Apply(&s.state, c, start.Add(hour)); p != nil {
				t.Fatal(p)
			}
		}
	}
	b := s.state.Append(nil)
	var again State
	if err := again.Decode(b); err != nil || again.Len() != MaxCases {
		t.Errorf("%d bytes: %v, %d cases", len(b), err, again.Len())
	}
}

// Any bytes are a state or an error; a state has one form, and whatever time and rules do with it ends.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 0, 0, 0, 0, 0, 1, 1, 'a', 1, 'b', 3, 5, 0, 0})
	f.Add([]byte{1, 0, 0, 0, 0, 1, 'g', 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s State
		if err := s.Decode(b); err != nil {
			if !errors.Is(err, ErrState) || !s.Empty() {
				t.Fatalf("%v, %+v", err, s)
			}
			return
		}
		if again := s.Append(nil); len(b) > 0 && !bytes.Equal(b, again) {
			t.Fatalf("%x came back as %x", b, again)
		}
		rules := Defaults()
		now := start
		for range 4 {
			rules.Advance(&s, now)
			rules.Attributes(&s, now)
			rules.Group(&s, Subscribed, now)
			if why := rules.WhyMuted(&s, now); strings.ContainsAny(why, "\n\x1b") {
				t.Fatalf("%q", why)
			}
			due := rules.Due(&s)
			if !due.IsZero() && due.UnixMilli() <= now.UnixMilli() {
				t.Fatalf("at %v something is due at %v: %+v", now, due, s)
			}
			if err := new(State).Decode(s.Append(nil)); err != nil {
				t.Fatal(err)
			}
			if due.IsZero() {
				break
			}
			now = due
		}
	})
}

// Any reports, at any moments, arriving at any others: two bytes of the input for each, and one for how
// long nothing comes. Whatever happens, the state can be read again, no trigger comes twice, the customer
// is never muted for longer than a report can mute, and time alone ends it all.
func FuzzApply(f *testing.F) {
	f.Add([]byte{0, 0, 1, 5, 9, 30, 6, 9, 40}, int64(0))
	f.Add([]byte{5, 0, 0, 6, 5, 0, 4, 3, 200}, int64(1))
	f.Add([]byte{0x45, 0, 0, 0x46, 5, 0, 0x85, 3, 200, 0xc6, 0, 255}, int64(-1))
	f.Fuzz(func(t *testing.T, script []byte, skew int64) {
		script = script[:min(len(script), 120)]
		rules := Defaults()
		rules.SuppressGroup, rules.AssumeSubscribed = "5b3a5b0e-1111-4222-8333-444455556666", true
		var s State
		sent := map[string]bool{}
		now := start
		advance := func() {
			for _, tr := range rules.Advance(&s, now).Triggers {
				if sent[tr.ID] {
					t.Fatalf("%s twice", tr.ID)
				}
				sent[tr.ID] = true
			}
			rules.Group(&s, "", now)
			if due := rules.Due(&s); !due.IsZero() && due.UnixMilli() <= now.UnixMilli() {
				t.Fatalf("at %v something is due at %v", now, due)
			}
			if limit := now.Add(time.Duration(21*Day+Day/2) + Skew); rules.SuppressedUntil(&s).After(limit) {
				t.Fatalf("at %v muted until %v", now, rules.SuppressedUntil(&s))
			}
			b := s.Append(nil)
			if err := s.Decode(b); err != nil {
				t.Fatalf("%x: %v", b, err)
			}
		}
		for ; len(script) >= 3; script = script[3:] {
			c := report(append(event.CaseEvents(), "?")[script[0]&7], 0, of(fmt.Sprint(script[0]>>6)))
			if state := script[0] >> 3 & 7; state < 5 {
				c.Severity = severities[state]
			}
			n := int64(script[1]) % 12
			c.Rating = &n
			c.OccurredAt = now.Add(-time.Duration(script[1]) * 20 * time.Minute).Add(time.Duration(skew))
			c.ReceivedAt = now
			_, problem := rules.Apply(&s, c, now)
			if (problem == nil) != (Check(c) == nil) {
				t.Fatal(problem)
			}
			advance()
			now = now.Add(time.Duration(script[2]) * 15 * time.Minute)
		}
		for range 10 * MaxCases {
			if s.Empty() {
				break
			}
			now = rules.Due(&s)
			advance()
		}
		if !s.Empty() {
			t.Fatalf("left: %+v", s)
		}
	})
}

func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1, 5, 50} {
		b.Run(fmt.Sprintf("cases=%d", n), func(b *testing.B) {
			rules := Defaults()
			var s State
			for i := range n {
				if _, p := rules.Apply(&s, report("opened", 0, of(fmt.Sprint(35000+i)), through("email")), start); p != nil {
					b.Fatal(p)
				}
			}
			value := s.Append(nil)
			c := report("updated", time.Minute, of("35000"), severe("high"))
			now := start.Add(time.Minute)
			var out []byte
			b.SetBytes(int64(len(value)))
			b.ReportAllocs()
			for b.Loop() {
				if err := s.Decode(value); err != nil {
					b.Fatal(err)
				}
				if _, p := rules.Apply(&s, c, now); p != nil {
					b.Fatal(p)
				}
				rules.Advance(&s, now)
				rules.Attributes(&s, now)
				rules.Due(&s)
				out = s.Append(out[:0])
			}
		})
	}
}

package plan

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/stream"
)

// full is a state in which nothing is left out.
func full() *state {
	f := field{
		name: "HasOptedOutOfEmail", win: value{hash: 1, text: "true", side: inBraze, edited: 1_772_442_904_000},
		toBraze: sent{hash: 2, planned: 3, written: 4}, toCRM: sent{write: 5, hash: 6, planned: 7, written: 8}, heard: heard{9, 10}, refused: true,
		spoke: 11, number: -12, counts: true, hops: 2, turned: 13, path: []step{{inCRM, 14, 15, "change"}, {inBraze, 16, 17, ""}},
		ledger: []entry{{18, 19, 20, 21, 22, 23, true}, {write: 24, hash: 25, planned: 26, expires: 27}},
	}
	return &state{
		who:  event.User{AliasLabel: "shop:eu", AliasName: "4711"},
		seen: []seen{{28, 29}, {30, 31}},
		objects: []object{
			{target: "crm", object: "Contact", keyField: "Braze_Id__c", key: "4711", mode: "upsert", id: "003A", fields: []field{f, {name: "empty"}}},
			{target: "loyalty", object: "member"},
		},
	}
}

var exact = cmp.Options{
	cmp.AllowUnexported(state{}, object{}, field{}, value{}, sent{}, heard{}, seen{}, step{}, entry{}, link{}, waiting{}), cmpopts.EquateEmpty(),
}

func TestStateIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	s := full()
	key := []byte(s.who.Key())
	value := s.append(nil)
	var got state
	for range 2 { // the second time into memory that was used
		if err := got.decode(key, value); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, &got, exact); diff != "" {
			t.Fatalf("state (-want +got):\n%s", diff)
		}
	}
	for n := range value {
		if n > 0 && got.decode(key, value[:n]) == nil {
			t.Errorf("its first %d of %d bytes pass for all", n, len(value))
		}
	}
	value[0]++
	if err := got.decode(key, value); !errors.Is(err, errNewer) {
		t.Errorf("a newer version gives %v", err)
	}
	value[0]--
	if err := got.decode([]byte("bob"), value); !errors.Is(err, errState) {
		t.Errorf("under another's key: %v", err)
	}
}

// What an earlier release has written is read by every later one.
func TestStateOnTheTopic(t *testing.T) {
	t.Parallel()
	s := full()
	got := []byte(hex.Dump(s.append(nil)))
	const name = "testdata/state-v1.golden"
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(name, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestLinkIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	l := link{user: event.User{ExternalID: "ann"}, waiting: []waiting{
		{hash: 1, since: 2, stamp: 3, offset: 4, value: []byte("value"), headers: []stream.Header{{Key: "traceparent", Value: []byte("00")}}},
		{hash: 5, since: 6, stamp: 7, value: []byte{0}},
	}}
	var got link
	if err := got.decode(l.append(nil)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(l, got, exact); diff != "" {
		t.Errorf("link (-want +got):\n%s", diff)
	}
}

func TestStateIsBounded(t *testing.T) {
	t.Parallel()
	s := full()
	for i := range 3 * maxObjects {
		o := s.object("crm", "Contact", "Key", string(rune('a'+i)))
		for j := range 2 * maxFields {
			f := o.field(string(rune('a' + j)))
			if f == nil {
				continue
			}
			f.win = value{hash: uint64(j), side: inCRM, edited: 1, text: string(bytes.Repeat([]byte("x"), maxText))}
			for k := range 2 * maxLedger {
				f.expect(uint64(k), 1)
			}
		}
	}
	for i := range uint64(3 * maxSeen) {
		s.repeated(i, 1)
	}
	value := s.append(nil)
	if len(value) > maxState {
		t.Errorf("it comes to %d bytes", len(value))
	}
	var got state
	if err := got.decode([]byte(s.who.Key()), value); err != nil {
		t.Errorf("what was cut cannot be read: %v", err)
	}
	if len(got.objects) == 0 {
		t.Error("nothing is left of it")
	}
}

// FuzzState gives the decoders bytes that nobody has written. What they take can be written, and read once more as the
// same.
func FuzzState(f *testing.F) {
	s := full()
	l := link{user: event.User{ExternalID: "ann"}, waiting: []waiting{{hash: 1, since: 2, value: []byte("value")}}}
	f.Add(s.who.Key(), s.append(nil))
	f.Add("ann", l.append(nil))
	f.Add("ann", []byte{1, 'u', 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		var s, again state
		if s.decode([]byte(key), value) == nil && len(value) > 0 {
			s.prune(1 << 40)
			s.due()
			written := s.append(nil)
			if err := again.decode([]byte(key), written); err != nil || !bytes.Equal(again.append(nil), written) {
				t.Fatalf("%x is not read as it was written: %v", written, err)
			}
		}
		var l, other link
		if l.decode(value) == nil && len(value) > 0 {
			written := l.append(nil)
			if err := other.decode(written); err != nil || !bytes.Equal(other.append(nil), written) {
				t.Fatalf("%x is not read as it was written: %v", written, err)
			}
		}
	})
}

package ingest

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// heldSlot is a slot of a request that waits for many more.
func heldSlot() *slot {
	rq := &request{
		done:   make(chan struct{}, 1),
		counts: &counts{late: prometheus.NewCounter(prometheus.CounterOpts{Name: "late"})},
	}
	rq.waiting.Store(1 << 20)
	return &slot{request: rq}
}

func (sl *slot) got() verdict { return verdict(sl.verdict.Load()) }

func TestWindowAnswersRepeatsAsTheirFirst(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	for _, c := range []struct {
		name    string
		durable bool
		verdict verdict
		before  verdict // of a repeat that came before the first was settled
		again   bool    // the id may be claimed once more behind it
	}{
		{name: "durable: repeats are duplicates", durable: true, verdict: accepted, before: duplicate},
		{name: "a dead letter: repeats are duplicates", durable: true, verdict: rejected, before: duplicate},
		{name: "Kafka did not take it: repeats share that, and the next may try", verdict: unavailable, before: unavailable, again: true},
		{name: "Kafka refused it: repeats share that", verdict: rejected, before: rejected, again: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWindow(10, time.Hour)
			id := w.fingerprint(fingerprint{}, "a")
			first, repeat, after := heldSlot(), heldSlot(), heldSlot()
			if !w.claim(id, now, first) {
				t.Fatal("the first was not granted")
			}
			if w.claim(id, now, repeat) || repeat.got() != pending {
				t.Fatalf("a repeat was not made to wait: %s", repeat.got())
			}
			w.settle(first.claim, c.durable, c.verdict)
			if repeat.got() != c.before {
				t.Errorf("the repeat before: %s, want %s", repeat.got(), c.before)
			}
			if granted := w.claim(id, now, after); granted != c.again || !granted && after.got() != duplicate {
				t.Errorf("the repeat after: granted %v, %s", granted, after.got())
			}
			if n := len(w.waiting); n != 0 {
				t.Errorf("%d still wait", n)
			}
		})
	}
}

func TestWindowTellsSourcesApart(t *testing.T) {
	w := newWindow(10, time.Hour)
	shop, crm := w.fingerprint(fingerprint{}, "shop"), w.fingerprint(fingerprint{}, "crm")
	if !w.claim(w.fingerprint(shop, "a"), time.Now(), heldSlot()) || !w.claim(w.fingerprint(crm, "a"), time.Now(), heldSlot()) {
		t.Error("the same id of another source was taken for a repeat")
	}
}

func TestWindowForgetsWithTime(t *testing.T) {
	w := newWindow(100, time.Hour)
	now := time.Unix(1_000_000, 0)
	claim := func(id string) bool {
		sl := heldSlot()
		granted := w.claim(w.fingerprint(fingerprint{}, id), now, sl)
		w.settle(sl.claim, true, accepted)
		return granted
	}
	claim("a")
	now = now.Add(59 * time.Minute)
	if claim("a") {
		t.Error("forgotten after 59 minutes")
	}
	claim("b")
	now = now.Add(2 * time.Minute)
	if !claim("a") {
		t.Error("remembered after 61 minutes")
	}
	if claim("b") {
		t.Error("b was forgotten with a")
	}
}

func TestWindowIsBoundedInNumber(t *testing.T) {
	const most = 3 * blockSize
	w := newWindow(most, time.Hour)
	now := time.Now()
	id := func(i int) fingerprint { return w.fingerprint(fingerprint{}, fmt.Sprint(i)) }
	var unsettled *slot
	for i := range 4 * most {
		sl := heldSlot()
		if !w.claim(id(i), now, sl) {
			t.Fatalf("%d was not granted", i)
		}
		if i == 0 {
			unsettled = sl // and pushed out while it is pending
			continue
		}
		w.settle(sl.claim, true, accepted)
	}
	if n := w.size(); n != most {
		t.Errorf("%d are remembered, want %d", n, most)
	}
	if n := len(w.blocks); n > most/blockSize+1 {
		t.Errorf("%d blocks are kept", n)
	}
	if w.claim(id(4*most-1), now, heldSlot()) || w.claim(id(3*most+1), now, heldSlot()) {
		t.Error("one of the newest was forgotten")
	}
	if !w.claim(id(2*most), now, heldSlot()) {
		t.Error("an old one is still remembered")
	}
	w.settle(unsettled.claim, true, accepted) // must not touch what stands in its place now
}

func TestWindowOfNoneRemembersNothing(t *testing.T) {
	w := newWindow(0, time.Hour)
	sl := heldSlot()
	for range 2 {
		if !w.claim(fingerprint{1}, time.Now(), sl) {
			t.Fatal("not granted")
		}
		w.settle(sl.claim, true, accepted)
	}
}

// FuzzWindow plays any sequence of claims and verdicts to the window and to a model of ten lines.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{0, 0, 1, 1, 0, 0, 2, 5, 1, 9, 0, 0, 3, 3})
	f.Fuzz(func(t *testing.T, moves []byte) {
		const most = 8
		w := newWindow(most, time.Hour)
		now := time.Unix(1_000_000, 0)
		type known struct {
			id      byte
			durable bool
			gone    bool
			sl      *slot
			repeats []*slot
		}
		var model []*known // oldest first
		var open []*known  // claims without a verdict
		for ; len(moves) >= 2; moves = moves[2:] {
			if moves[0]%3 != 0 { // a verdict for one of the open claims
				if len(open) == 0 {
					continue
				}
				i := int(moves[1]) % len(open)
				k := open[i]
				open = append(open[:i], open[i+1:]...)
				k.durable = moves[0]%3 == 1
				k.gone = k.gone || !k.durable
				v, want := unavailable, unavailable
				if k.durable {
					v, want = accepted, duplicate
				}
				w.settle(k.sl.claim, k.durable, v)
				for _, r := range k.repeats {
					if r.got() != want {
						t.Fatalf("a repeat got %s, want %s", r.got(), want)
					}
				}
				continue
			}
			id := moves[1] % 16
			if len(model) == most {
				model[0].gone = true
				model = model[1:]
			}
			var first *known
			for _, k := range model {
				if k.id == id && !k.gone {
					first = k
				}
			}
			sl := heldSlot()
			granted := w.claim(w.fingerprint(fingerprint{}, string(binary.AppendUvarint(nil, uint64(id)))), now, sl)
			switch {
			case granted != (first == nil):
				t.Fatalf("granted %v, known %+v", granted, first)
			case granted:
				k := &known{id: id, sl: sl}
				model, open = append(model, k), append(open, k)
			case first.durable && sl.got() != duplicate, !first.durable && sl.got() != pending:
				t.Fatalf("got %s of %+v", sl.got(), first)
			case !first.durable:
				first.repeats = append(first.repeats, sl)
			}
		}
	})
}

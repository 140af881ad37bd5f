package quota_test

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/quota"
)

// workspace plays a destination with a strict limit, several replicas that have more to send than
// they may, and perhaps another tool that knows nothing of them, millisecond by millisecond.
type workspace struct {
	rate    quota.Rate
	sliding bool // the window, otherwise fixed
	delta   bool // the dialect in which it speaks of the quota
	random  *rand.Rand
	trip    time.Duration // the longest there, and back again

	replicas []*replica
	others   time.Duration // between two requests of another tool; 0 for none

	arrived  []time.Time // those that were let in
	start    time.Time   // of a fixed window
	used     int
	pending  moments
	sequence int

	// What happened since the last look.
	ours, oursRefused, theirs, theirsRefused int
}

// replica is one that has work without end.
type replica struct {
	quota    *quota.Quota
	inFlight int
	dead     bool
}

// moment is when something happens.
type moment struct {
	at    time.Time
	order int
	do    func(now time.Time)
}

type moments []moment

func (m moments) Len() int { return len(m) }
func (m moments) Less(i, j int) bool {
	return m[i].at.Before(m[j].at) || m[i].at.Equal(m[j].at) && m[i].order < m[j].order
}
func (m moments) Swap(i, j int) { m[i], m[j] = m[j], m[i] }
func (m *moments) Push(x any)   { *m = append(*m, x.(moment)) }
func (m *moments) Pop() any {
	old := *m
	last := old[len(old)-1]
	*m = old[:len(old)-1]
	return last
}

func (w *workspace) after(now time.Time, d time.Duration, do func(now time.Time)) {
	w.sequence++
	heap.Push(&w.pending, moment{now.Add(d), w.sequence, do})
}

// ask is a request that has arrived: whether it is let in, and the headers of the answer.
func (w *workspace) ask(now time.Time) (ok bool, h http.Header) {
	left, end := 0, time.Time{}
	if w.sliding {
		for len(w.arrived) > 0 && now.Sub(w.arrived[0]) >= w.rate.Per {
			w.arrived = w.arrived[1:]
		}
		if ok = len(w.arrived) < w.rate.Count; ok {
			w.arrived = append(w.arrived, now)
		}
		left, end = w.rate.Count-len(w.arrived), w.arrived[0].Add(w.rate.Per)
	} else {
		if start := now.Truncate(w.rate.Per); !start.Equal(w.start) {
			w.start, w.used = start, 0
		}
		if ok = w.used < w.rate.Count; ok {
			w.used++
		}
		left, end = w.rate.Count-w.used, w.start.Add(w.rate.Per)
	}
	seconds := strconv.Itoa(int((end.Sub(now) + time.Second - 1) / time.Second))
	switch {
	case w.delta && !ok:
		return ok, header("X-Ratelimit-Retry-After", seconds)
	case !w.delta:
		seconds = epoch(end.Add(time.Second - 1))
	}
	return ok, header("X-Ratelimit-Limit", strconv.Itoa(w.rate.Count), "X-Ratelimit-Remaining", strconv.Itoa(left), "X-Ratelimit-Reset", seconds)
}

func (w *workspace) oneWay() time.Duration {
	return time.Duration(w.random.Int64N(int64(w.trip))) + time.Millisecond
}

// work lets a replica send what it may.
func (w *workspace) work(r *replica, now time.Time) {
	for !r.dead && r.inFlight < 64 && r.quota.Take(now) == 0 {
		r.inFlight++
		w.after(now, w.oneWay(), func(now time.Time) {
			ok, h := w.ask(now)
			w.ours++
			if !ok {
				w.oursRefused++
			}
			w.after(now, w.oneWay(), func(now time.Time) {
				r.inFlight--
				hint := quota.ParseHeaders(h, now)
				hint.Throttled = !ok
				r.quota.Learn(now, hint)
			})
		})
	}
}

// run goes on for as long, and begins to count anew.
func (w *workspace) run(from time.Time, long time.Duration) time.Time {
	w.ours, w.oursRefused, w.theirs, w.theirsRefused = 0, 0, 0, 0
	var next time.Time // of the other tool
	for now := from; now.Before(from.Add(long)); now = now.Add(time.Millisecond) {
		for len(w.pending) > 0 && !w.pending[0].at.After(now) {
			heap.Pop(&w.pending).(moment).do(now)
		}
		for i := range w.replicas { // not always the same one first
			w.work(w.replicas[(i+w.sequence)%len(w.replicas)], now)
		}
		if w.others > 0 && !next.After(now) {
			next = now.Add(w.others)
			w.theirs++
			if ok, _ := w.ask(now); !ok {
				w.theirsRefused++
			}
		}
	}
	return from.Add(long)
}

// use is the part of the limit that was used since the last look, by everybody.
func (w *workspace) use(over time.Duration) float64 {
	taken := w.ours - w.oursRefused + w.theirs - w.theirsRefused
	return float64(taken) / (float64(w.rate.Count) * over.Seconds() / w.rate.Per.Seconds())
}

func newWorkspace(r quota.Rate, sliding, delta bool, shares ...float64) *workspace {
	w := &workspace{rate: r, sliding: sliding, delta: delta, random: rand.New(rand.NewPCG(uint64(r.Count), 7)), trip: 4 * time.Millisecond}
	for _, share := range shares {
		q := quota.New(r)
		q.SetShare(now, 0)
		q.SetShare(now, share)
		w.replicas = append(w.replicas, &replica{quota: q})
	}
	return w
}

// everyShape runs a test for both shapes of a window and both dialects.
func everyShape(t *testing.T, do func(t *testing.T, sliding, delta bool)) {
	for _, sliding := range []bool{false, true} {
		for _, delta := range []bool{false, true} {
			name := map[bool]string{false: "fixed windows", true: "sliding windows"}[sliding] +
				", " + map[bool]string{false: "epoch", true: "seconds left"}[delta]
			t.Run(name, func(t *testing.T) { do(t, sliding, delta) })
		}
	}
}

func TestReplicasUseTheirLimitAndDoNotExceedIt(t *testing.T) {
	for _, tt := range []struct {
		rate   string
		shares []float64
		trip   time.Duration
	}{
		{rate: "900/3s", shares: []float64{4.0 / 12, 4.0 / 12, 4.0 / 12}, trip: 40 * time.Millisecond},
		{rate: "600/2s", shares: []float64{5.0 / 12, 5.0 / 12, 2.0 / 12}, trip: 40 * time.Millisecond},
		{rate: "300/3s", shares: []float64{4.0 / 12, 4.0 / 12, 4.0 / 12}, trip: 40 * time.Millisecond},
		{rate: "120/1s", shares: []float64{4.0 / 12, 4.0 / 12, 4.0 / 12}, trip: 4 * time.Millisecond},
		{rate: "60/1s", shares: []float64{4.0 / 12, 4.0 / 12, 4.0 / 12}, trip: 4 * time.Millisecond},
		{rate: "300/3s", shares: []float64{1}, trip: 40 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(tt.rate, tt.shares), func(t *testing.T) {
			everyShape(t, func(t *testing.T, sliding, delta bool) {
				w := newWorkspace(rate(tt.rate), sliding, delta, tt.shares...)
				w.trip = tt.trip
				at := w.run(now, 5*w.rate.Per)
				if w.oursRefused > 0 {
					t.Errorf("%d of %d were refused at the start", w.oursRefused, w.ours)
				}
				w.run(at, 10*w.rate.Per)
				if w.oursRefused > 0 {
					t.Errorf("%d of %d were refused", w.oursRefused, w.ours)
				}
				if use := w.use(10 * w.rate.Per); use < 0.95 {
					t.Errorf("%.1f %% of the limit were used", 100*use)
				}
			})
		})
	}
}

func TestAnotherToolOnTheWorkspaceIsYieldedTo(t *testing.T) {
	for _, tt := range []struct {
		rate    string
		every   time.Duration
		use     float64 // once we know of it
		refused float64 // of its requests, likewise
	}{
		{rate: "900/3s", every: 17 * time.Millisecond, use: 0.95, refused: 0.01}, // a fifth
		{rate: "900/3s", every: 7 * time.Millisecond, use: 0.95, refused: 0.01},  // a half
		{rate: "300/3s", every: 50 * time.Millisecond, use: 0.95, refused: 0.02}, // a fifth
		// The end of a window is told in whole seconds, too coarse for windows of one.
		{rate: "120/1s", every: 40 * time.Millisecond, use: 0.75, refused: 0.08},
	} {
		t.Run(tt.rate+" and one every "+tt.every.String(), func(t *testing.T) {
			everyShape(t, func(t *testing.T, sliding, delta bool) {
				w := newWorkspace(rate(tt.rate), sliding, delta, 4.0/12, 4.0/12, 4.0/12)
				w.trip = 10 * time.Millisecond
				at := w.run(now, 5*w.rate.Per)
				w.others = tt.every
				at = w.run(at, 10*w.rate.Per)
				if part := float64(w.theirsRefused) / float64(w.theirs); part > 0.1 {
					t.Errorf("in the first ten windows %.1f %% of theirs were refused", 100*part)
				}
				at = w.run(at, 10*w.rate.Per)
				if part := float64(w.theirsRefused) / float64(w.theirs); part > tt.refused {
					t.Errorf("of their %d requests %d were refused", w.theirs, w.theirsRefused)
				}
				if use := w.use(10 * w.rate.Per); use < tt.use {
					t.Errorf("%.1f %% of the limit were used", 100*use)
				}
				w.others = 0
				at = w.run(at, 10*w.rate.Per)
				w.run(at, 10*w.rate.Per)
				if use := w.use(10 * w.rate.Per); use < 0.95 || w.oursRefused > 0 {
					t.Errorf("ten windows after it had gone %.1f %% of the limit were used, and %d of ours refused", 100*use, w.oursRefused)
				}
			})
		})
	}
}

func TestAQuietTimeBringsTheWholeShareBack(t *testing.T) {
	q, at := amongOthers(), now
	for range 10 { // windows of which nothing was left long before they ended
		q.Learn(at, said(3000, 0, at.Add(2*time.Second)))
		at = at.Add(3 * time.Second)
	}
	if n := during(q, at, at.Add(3*time.Second)); n > 1000 {
		t.Errorf("%d went, want little", n)
	}
	at = at.Add(time.Minute)
	if n := during(q, at, at.Add(3*time.Second)); n != 3000 {
		t.Errorf("%d went a minute later, want everything", n)
	}
}

func TestWhatTheOthersUsedOfTheirsIsNotTakenForSomebodyElses(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	q.SetShare(now, 1.0/3)
	q.Learn(now, said(3000, 1000, now.Add(2*time.Second))) // two replicas were quicker
	if n := during(q, now, now.Add(2*time.Second)); n < 900 {
		t.Errorf("%d went, want our own thousand", n)
	}
}

func TestWhereLittleIsLeftNobodySendsMuchAtOnce(t *testing.T) {
	q := quota.New(rate("3000/3s"))
	q.Learn(now, said(3000, 100, now.Add(2*time.Second)))
	if n, _ := takeAll(q, now); n > 200 {
		t.Errorf("%d went at once", n)
	}
}

package salesforce

import (
	"strconv"
	"strings"
	"sync"
	"time"
)

// budget knows how many calls may still be made today. An org has a limit for all its tools together, over the last
// 24 hours, and every answer says how much of it is used (salesforce-docs: headers_api_usage). A share is measured
// against that, so it holds for any number of processes and outlives a restart; a number of calls is counted here,
// and is this process's own.
type budget struct {
	calls   int
	share   float64
	recheck time.Duration

	mu      sync.Mutex
	used    int
	limit   int // 0: not said yet
	asked   time.Time
	blocked time.Time // by a refusal: not before
	hours   [25]hour  // of our own calls, by the hour's number
}

type hour struct {
	number int64
	calls  int
}

// take asks for one call: 0 is a yes, anything else how long there is none.
func (b *budget) take(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if wait := b.blocked.Sub(now); wait > 0 {
		return wait
	}
	if b.calls > 0 {
		if own, oldest := b.own(now); own >= b.calls {
			return time.Unix((oldest+25)*3600, 0).Sub(now)
		}
	} else if b.limit > 0 && float64(b.used) >= b.share*float64(b.limit) {
		if wait := b.asked.Add(b.recheck).Sub(now); wait > 0 {
			return wait
		}
		b.asked = now // one goes and asks; the others wait for what it hears
	}
	b.count(now)
	return 0
}

// spend counts a call that is made whatever the budget says: what a job has begun is seen to its end.
func (b *budget) spend(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.count(now)
}

func (b *budget) count(now time.Time) {
	number := now.Unix() / 3600
	h := &b.hours[number%int64(len(b.hours))]
	if h.number != number {
		*h = hour{number: number}
	}
	h.calls++
}

// own is how many calls the last 24 hours had, by whole hours, and the number of the first hour that had one.
func (b *budget) own(now time.Time) (calls int, oldest int64) {
	current := now.Unix() / 3600
	oldest = current
	for _, h := range b.hours {
		if h.calls > 0 && h.number > current-25 {
			calls += h.calls
			oldest = min(oldest, h.number)
		}
	}
	return calls, oldest
}

// learn takes what an answer says of usage.
func (b *budget) learn(used, limit int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used, b.limit, b.asked = used, limit, now
}

// refused notes that the org has no calls left, and returns how long to wait. Salesforce names no time: its window
// has no end, but moves on with the clock.
func (b *budget) refused(now time.Time) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.blocked = now.Add(b.recheck)
	return b.recheck
}

// short reports whether less than a share of the budget is left.
func (b *budget) short(share float64, now time.Time) bool {
	whole, left := b.state(now)
	return whole > 0 && left < share*whole
}

// room reports whether so many calls are left, as far as that is known.
func (b *budget) room(calls int, now time.Time) bool {
	whole, left := b.state(now)
	return whole == 0 || left >= float64(calls)
}

// state is how large the budget is, 0 while nobody has said so, and what is left of it.
func (b *budget) state(now time.Time) (whole, left float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.calls > 0 {
		own, _ := b.own(now)
		return float64(b.calls), float64(b.calls - own)
	}
	whole = b.share * float64(b.limit)
	return whole, whole - float64(b.used)
}

// usage reads "api-usage=10018/100000" out of Sforce-Limit-Info, which may say more, apart by semicolons or commas.
func usage(header string) (used, limit int, ok bool) {
	for part := range strings.FieldsFuncSeq(header, func(r rune) bool { return r == ';' || r == ',' }) {
		text, found := strings.CutPrefix(strings.TrimSpace(part), "api-usage=")
		if !found {
			continue
		}
		left, right, _ := strings.Cut(text, "/")
		used, err1 := strconv.Atoi(left)
		limit, err2 := strconv.Atoi(right)
		return used, limit, err1 == nil && err2 == nil && used >= 0 && limit > 0
	}
	return 0, 0, false
}

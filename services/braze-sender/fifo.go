package brazesender

import (
	"container/heap"
	"time"
)

// fifo is the line of users that are ready, a ring.
type fifo struct {
	ring []*user
	head int
	n    int
}

func (q *fifo) len() int     { return q.n }
func (q *fifo) first() *user { return q.ring[q.head] }

func (q *fifo) grow() {
	if q.n < len(q.ring) {
		return
	}
	bigger := make([]*user, max(64, 2*len(q.ring)))
	for i := range q.n {
		bigger[i] = q.ring[(q.head+i)%len(q.ring)]
	}
	q.ring, q.head = bigger, 0
}

func (q *fifo) push(u *user) {
	q.grow()
	q.ring[(q.head+q.n)%len(q.ring)] = u
	q.n++
}

func (q *fifo) pushFront(u *user) {
	q.grow()
	q.head = (q.head - 1 + len(q.ring)) % len(q.ring)
	q.ring[q.head] = u
	q.n++
}

func (q *fifo) pop() *user {
	u := q.ring[q.head]
	q.ring[q.head] = nil
	q.head = (q.head + 1) % len(q.ring)
	q.n--
	return u
}

// timers are the users that wait, the one due first on top.
type timers struct{ h timerHeap }

type timer struct {
	at   time.Time
	key  string // the user may have gone and the struct be another's: both must still agree
	user *user
}

func (t *timers) push(at time.Time, u *user) { heap.Push(&t.h, timer{at, u.key, u}) }
func (t *timers) pop() timer                 { return heap.Pop(&t.h).(timer) }

func (t *timers) next() (time.Time, bool) {
	if len(t.h) == 0 {
		return time.Time{}, false
	}
	return t.h[0].at, true
}

type timerHeap []timer

func (h timerHeap) Len() int           { return len(h) }
func (h timerHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h timerHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timerHeap) Push(x any)        { *h = append(*h, x.(timer)) }
func (h *timerHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

package crmwriteback

import (
	"container/heap"
	"container/list"
	"time"
)

// objectKey names an object of a target. The field that holds the key is left out: who is known by two of them is
// known by two keys.
type objectKey struct{ object, key string }

// object is what is waiting for one object of the target, in order. One row of it is under way at most. The writer's
// lock guards it.
type object struct {
	at    objectKey
	queue []*item // the first busy of them are in a call, or settled and not durably so yet
	busy  int

	line  *line // in which it waits for its turn; nil while it is busy or put off
	place *list.Element
	since time.Time // when it came into the line
	heft  int       // of the row at its head, as the line counts it

	until time.Time // it is put off until then; zero when it is not
	stuck bool      // a row of it is not durably settled and will be read again: no newer one may overtake it
	fate  fate
	// doubt is the last of the items that were one row in a call of which nobody knows whether it was taken. It comes
	// again as it was: were others folded into it, and refused with it, its first would have to go alone, perhaps
	// after its last.
	doubt *item
}

// fate is how the row at the head has fared; the zero value before it has failed.
type fate struct {
	calls    int       // calls in a row that came to nothing as a whole
	failures int       // of these, those since whose predecessor the target has taken other rows
	seen     int64     // rows that the target had taken by the last of them
	tries    int       // calls that put this row off
	since    time.Time // of the first of these
	taken    int64     // rows that the target had taken then
	// doubted says that a call which came to nothing may have been taken all the same: the object may hold the newest of
	// what was folded already, and nothing older may be written after it.
	doubted bool
}

// idle reports whether nothing of it is under way, so that its head may go.
func (o *object) idle() bool { return o.busy == 0 && !o.stuck && len(o.queue) > 0 }

// line is the objects whose rows may stand in one call, in the order in which they wait.
type line struct {
	objects list.List // of *object
	bytes   int
	like    *item // what its rows are like
}

func (l *line) first() *object { return l.objects.Front().Value.(*object) }

// mostLines bounds the search for a line. Where a target finds hardly any two rows alike, the last line is a mixed one:
// a call ends where the next row does not fit into it.
const mostLines = 64

// enqueue puts an object into the line that its head belongs to, at the end or before all others.
func (w *writer) enqueue(o *object, now time.Time, front bool) {
	head := o.queue[0]
	l := w.lineOf(head)
	o.line, o.since, o.until, o.heft = l, now, time.Time{}, weight(&head.row)
	l.bytes += o.heft
	if front {
		o.place = l.objects.PushFront(o)
	} else {
		o.place = l.objects.PushBack(o)
	}
}

func (w *writer) lineOf(head *item) *line {
	for i, l := range w.lines {
		if w.form.Rows == 1 || w.alike(&l.like.row, &head.row) || i == mostLines-1 {
			return l
		}
	}
	l := &line{like: head}
	w.lines = append(w.lines, l)
	return l
}

// dequeue takes an object out of its line.
func (w *writer) dequeue(o *object) {
	l := o.line
	l.objects.Remove(o.place)
	l.bytes -= o.heft
	o.line, o.place = nil, nil
	if l.objects.Len() > 0 {
		return
	}
	for i := range w.lines {
		if w.lines[i] == l {
			w.lines = append(w.lines[:i], w.lines[i+1:]...)
			return
		}
	}
}

// putOff has an object wait.
func (w *writer) putOff(o *object, until time.Time) {
	o.until = until
	w.turn++
	heap.Push(&w.timers, timer{until, w.turn, o})
}

// fire brings back what was put off until now: before the others, what came last into the timers foremost, as again puts it there.
func (w *writer) fire(now time.Time) {
	for len(w.timers) > 0 && !w.timers[0].at.After(now) {
		t := heap.Pop(&w.timers).(timer)
		if o := t.object; o.until.Equal(t.at) && !o.until.IsZero() && o.idle() {
			w.enqueue(o, now, true)
		}
	}
}

// timer says when an object is to come back. One that has come back before is none any more.
type timer struct {
	at     time.Time
	turn   int64
	object *object
}

type timers []timer

func (t timers) Len() int { return len(t) }

func (t timers) Less(i, j int) bool {
	if t[i].at.Equal(t[j].at) {
		return t[i].turn < t[j].turn
	}
	return t[i].at.Before(t[j].at)
}

func (t timers) Swap(i, j int) { t[i], t[j] = t[j], t[i] }
func (t *timers) Push(x any)   { *t = append(*t, x.(timer)) }

func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*t = old[:len(old)-1]
	return last
}

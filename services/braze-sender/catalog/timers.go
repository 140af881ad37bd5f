package catalog

import (
	"container/heap"
	"time"
)

// timers are moments at which items have to be looked at again. A moment that is none any more does no harm.
type timers struct{ list alarms }

// alarm is one of them.
type alarm struct {
	at time.Time
	it *item
}

type alarms []alarm

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a alarms) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *alarms) Push(x any)        { *a = append(*a, x.(alarm)) } //nolint:forcetypeassert // heap.Push gives what it is given

// Pop takes the last one away.
func (a *alarms) Pop() any {
	last := len(*a) - 1
	x := (*a)[last]
	(*a)[last] = alarm{}
	*a = (*a)[:last]
	return x
}

func (t *timers) push(at time.Time, it *item) { heap.Push(&t.list, alarm{at, it}) }

// next is when the first one is; zero when there is none.
func (t *timers) next() time.Time {
	if len(t.list) == 0 {
		return time.Time{}
	}
	return t.list[0].at
}

// due takes the first one away if its moment has come.
func (t *timers) due(now time.Time) (*item, bool) {
	if len(t.list) == 0 || t.list[0].at.After(now) {
		return nil, false
	}
	a, ok := heap.Pop(&t.list).(alarm)
	return a.it, ok
}

package webhook

import (
	"container/list"
	"sync"
	"time"
)

// memory is what a source's messages have said that later ones need: who placed the order that a
// refund only names by number. It forgets what is oldest once it is full, and everything when the
// process ends: a message that comes too late for it is a dead letter, not a loss.
type memory struct {
	max  int
	keep time.Duration

	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // of remembered; what was said last stands in front
}

type remembered struct {
	key   string
	value any
	at    time.Time
}

// longestKey bounds what one key can take.
const longestKey = 512

func newMemory(entries int, keep time.Duration) *memory {
	return &memory{max: entries, keep: keep, byKey: map[string]*list.Element{}, order: list.New()}
}

// remember keeps a value, which nobody may change any more.
func (m *memory) remember(key string, value any, now time.Time) {
	if m.max == 0 || key == "" || len(key) > longestKey {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, known := m.byKey[key]; known {
		r := e.Value.(*remembered)
		r.value, r.at = value, now
		m.order.MoveToFront(e)
		return
	}
	m.byKey[key] = m.order.PushFront(&remembered{key, value, now})
	for m.order.Len() > m.max {
		m.forget(m.order.Back())
	}
}

// recall is the value last remembered under a key, or nil.
func (m *memory) recall(key string, now time.Time) any {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, known := m.byKey[key]
	if !known {
		return nil
	}
	r := e.Value.(*remembered)
	if now.Sub(r.at) > m.keep {
		m.forget(e)
		return nil
	}
	return r.value
}

func (m *memory) forget(e *list.Element) {
	delete(m.byKey, m.order.Remove(e).(*remembered).key)
}

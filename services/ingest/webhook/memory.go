package webhook

import (
	"container/list"
	"encoding/json"
	"slices"
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

// erase drops every value that names a user by a text, wherever in it.
func (m *memory) erase(user string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for e := m.order.Front(); e != nil; {
		next := e.Next()
		if mentions(e.Value.(*remembered).value, user) {
			m.forget(e)
		}
		e = next
	}
}

// mentions reports whether a text stands anywhere in a value.
func mentions(value any, text string) bool {
	switch v := value.(type) {
	case string:
		return v == text
	case json.Number:
		return string(v) == text
	case []any:
		return slices.ContainsFunc(v, func(item any) bool { return mentions(item, text) })
	case map[string]any:
		for _, member := range v {
			if mentions(member, text) {
				return true
			}
		}
	}
	return false
}

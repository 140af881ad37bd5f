package brazefake

import (
	"slices"
	"sync"
	"time"
)

// Change is something that was done to who a user is.
type Change struct {
	Request int64     `json:"request"`
	At      time.Time `json:"at"`
	Kind    string    `json:"kind"` // identify, alias, merge, delete or rename
	User    string    `json:"user"` // canonical id
	Into    string    `json:"into,omitempty"`
	Outcome string    `json:"outcome"` // what came of it, in words
}

// The kinds of changes.
const (
	ChangeIdentify = "identify"
	ChangeAlias    = "alias"
	ChangeMerge    = "merge"
	ChangeDelete   = "delete"
	ChangeRename   = "rename"
)

// changeLog is what was done; beyond limit the oldest is forgotten.
type changeLog struct {
	limit int
	mu    sync.Mutex
	list  []Change
}

func (l *changeLog) add(c *call, kind, user, into, outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = bounded(append(l.list, Change{c.number, time.Now(), kind, user, into, outcome}), l.limit)
}

func (l *changeLog) last(n int, user string) []Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	return newest(l.list, n, func(c *Change) bool { return user == "" || c.User == user || c.Into == user })
}

func (l *changeLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = nil
}

// Changes are what was done to who users are, in the order in which it was done.
func (s *Sandbox) Changes() []Change {
	s.changes.mu.Lock()
	defer s.changes.mu.Unlock()
	return slices.Clone(s.changes.list)
}

// Deleted are the users that were deleted, by the canonical ids that they were named by.
func (s *Sandbox) Deleted() (users []string) {
	for _, c := range s.Changes() {
		if c.Kind == ChangeDelete {
			users = append(users, c.User)
		}
	}
	return users
}

// alone is what is done while nobody else does anything to people.
func (s *Sandbox) alone(do func()) func() {
	return func() {
		s.people.whole.Lock()
		defer s.people.whole.Unlock()
		do()
	}
}

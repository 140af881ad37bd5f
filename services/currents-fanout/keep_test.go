package currentsfanout

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// members are how many belong to the sink's group.
func (u *unreadable) members() int {
	u.t.Helper()
	list, err := u.admin.Members(u.t.Context(), u.runner.service.Kafka.Group(Group("one")))
	if err != nil {
		u.t.Fatal(err)
	}
	return len(list)
}

// TestTheOffsetsOfAPausedSinkAreKept: Kafka forgets those of a group that nobody has belonged to for a week.
func TestTheOffsetsOfAPausedSinkAreKept(t *testing.T) {
	t.Parallel()
	letters := &failingLetters{taken: make(chan letter, 10)}
	letters.well.Store(true)
	u := newUnreadable(t, letters, time.Second)
	u.runner.keepEvery = 500 * time.Millisecond
	deadline := time.After(30 * time.Second)
	await := func(what string, cond func() bool) {
		t.Helper()
		for !cond() {
			select {
			case <-deadline:
				t.Fatalf("waiting for %s", what)
			case <-time.After(time.Millisecond):
			}
		}
	}
	if n, err := u.runner.visit(t.Context()); n != 0 || err != nil {
		t.Errorf("of a group that has committed nothing %d offsets are kept, %v", n, err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); u.runner.run(ctx) }()
	ended := false
	end := func() {
		if !ended {
			ended = true
			stop()
			<-done
		}
	}
	defer end()
	await("the commit", func() bool { return u.committed() == 1 })
	if n, err := u.runner.visit(t.Context()); n != 0 || err != nil {
		t.Errorf("of a group that has a member %d offsets are kept, %v", n, err)
	}
	u.runner.setPaused(Pause{Paused: true, Since: time.Now(), By: "test"})
	await("the group to be left", func() bool { return u.members() == 0 })
	for range 2 {
		await("a visit", func() bool { return u.members() == 1 })
		await("its end", func() bool { return u.members() == 0 })
	}
	end()

	undo := u.broker.RefuseCommits(-1)
	short, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if n, err := u.runner.visit(short); err == nil {
		t.Errorf("a visit that could commit nothing says %d", n)
	}
	undo()
	await("the group to be left again", func() bool { return u.members() == 0 })
	if n, err := u.runner.visit(t.Context()); n != 2 || err != nil {
		t.Errorf("a visit has committed %d offsets anew, %v; want one of each topic", n, err)
	}
	if at := u.committed(); at != 1 {
		t.Errorf("%d is committed after visits, want 1", at)
	}
	if len(letters.taken) != 1 {
		t.Errorf("%d letters were written", len(letters.taken))
	}
}

// TestAVisitIsDueOnceADayHoweverOftenTheProcessStarts: it counts from the pause.
func TestAVisitIsDueOnceADayHoweverOftenTheProcessStarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &runner{keepEvery: keepEvery}
		p := Pause{Paused: true, Since: time.Now()}
		visits := 0
		for began := time.Now(); time.Since(began) < 10*24*time.Hour; {
			up, due := 10*time.Hour, r.untilVisit(p, time.Now()) // a process that is started again every ten hours
			if due > up {
				<-time.After(up)
				continue
			}
			<-time.After(due)
			visits++
			<-time.After(up - due)
		}
		if visits < 8 || visits > 11 {
			t.Errorf("%d visits in ten days", visits)
		}
		if due := r.untilVisit(Pause{Paused: true, Since: time.Now().Add(time.Hour)}, time.Now()); due > keepEvery+time.Hour || due < keepEvery {
			t.Errorf("by a clock that is behind it is due in %v", due)
		}
	})
}

package chaos

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// strikeFanout lets a blow fall on one of the two.
func (w *wayBack) strikeFanout(ctx context.Context, b blow) error {
	p := w.stands[b.pick%2]
	if err := pause(ctx, b.delay); err != nil {
		return err
	}
	w.stir()
	switch {
	case b.cold:
		return w.freezeFanout(ctx, p, 200*time.Millisecond+b.pause)
	case b.hard:
		if err := w.killFanout(ctx, p); err != nil {
			return err
		}
	default:
		if err := p.leave(ctx); err != nil {
			return err
		}
	}
	if b.wiped {
		if err := p.wipe(); err != nil {
			return err
		}
	}
	if err := pause(ctx, b.pause); err != nil {
		return err
	}
	return p.start(ctx, false)
}

// killFanout ends a process with SIGKILL, and has its groups know of it sooner than they would by themselves.
func (w *wayBack) killFanout(ctx context.Context, p *stand) error {
	c := p.now
	h := w.harm[c.name]
	h.killed = true
	w.harm[c.name] = h
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := c.gone(ctx); err != nil {
		return err
	}
	p.now = nil
	w.killed[p.role]++
	w.say("killed %s after %v", c.name, time.Since(c.born).Round(time.Millisecond))
	return w.buryFanout(ctx, c)
}

// buryFanout takes a process out of the groups of all sinks.
func (w *wayBack) buryFanout(ctx context.Context, c *child) error {
	for _, name := range allSinks {
		var last error
		giveUp, cancel := within(ctx, 20*time.Second, "burying "+c.name)
		if err := until(giveUp, 50*time.Millisecond, func() bool { last = w.groups[name].bury(giveUp, c.name); return last == nil }); err != nil {
			w.say("%v: %v; Kafka will find out by itself", err, last)
		}
		cancel()
	}
	return ctx.Err()
}

// freezeFanout lets a process stand still until its groups take it for dead, and go on then with batches in its hands
// that are no more its own.
func (w *wayBack) freezeFanout(ctx context.Context, p *stand, d time.Duration) error {
	if err := until(ctx, 20*time.Millisecond, func() bool {
		return w.groups[healthySink].settled(ctx, p.now.name) || w.alive() != nil
	}); err != nil {
		return fmt.Errorf("waiting for %s to be a member: %w", p.now.name, err)
	}
	w.harm[p.now.name] = harm{takenForDead: true}
	if err := p.now.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	w.frozen++
	if err := w.buryFanout(ctx, p.now); err != nil {
		return err
	}
	if err := pause(ctx, d); err != nil {
		return err
	}
	w.say("%s goes on after it was taken for dead", p.now.name)
	return p.now.signal(syscall.SIGCONT)
}

// killDoor has another front door in the place of one that is killed.
func (w *wayBack) killDoor(ctx context.Context) error {
	c := w.door.now
	if err := c.signal(syscall.SIGKILL); err != nil {
		return err
	}
	if err := c.gone(ctx); err != nil {
		return err
	}
	w.killed[Door]++
	w.say("killed %s", c.name)
	return w.door.start(ctx, false)
}

// outage takes Kafka away until the front door has told Braze to come again.
func (w *wayBack) outage(ctx context.Context) error {
	for _, p := range w.stands { // who comes up just then ends, and is started again: by whoever looks after processes, and not here
		if err := p.now.ready(ctx); err != nil {
			return err
		}
	}
	w.stir()
	node, before := w.cluster.Node(0), w.braze.turnedAway()
	killed := w.dice.IntN(3) == 0
	away, back := node.Freeze, func(context.Context) error { return node.Thaw() }
	if killed {
		away, back = node.Kill, node.Restart
	}
	if err := away(); err != nil {
		return err
	}
	w.say("kafka is away, killed %t", killed)
	w.braze.hand(w.braze.handed + 2*callersAtOnce)
	wait, cancel := within(ctx, 20*time.Second, "a 503 for Currents")
	defer cancel()
	err := until(wait, 20*time.Millisecond, func() bool { return w.braze.turnedAway() > before })
	if err := back(ctx); err != nil {
		return err
	}
	w.say("kafka is back; %d calls were told to come again", w.braze.turnedAway()-before)
	return err
}

// stir notes that groups are about to share partitions out anew.
func (w *wayBack) stir() {
	now := time.Since(w.began)
	w.unrest = append(w.unrest, span{now, now})
	w.calm = false
}

// watchUnrest looks now and then whether the groups have come to rest: all members are those who are there, and have been told
// what is theirs.
func (w *wayBack) watchUnrest(ctx context.Context) {
	if w.calm || time.Since(w.looked) < 100*time.Millisecond {
		return
	}
	w.looked = time.Now()
	var names, there []string
	for _, g := range w.groups {
		names = append(names, g.name)
	}
	for _, p := range w.stands[:2] {
		there = append(there, p.now.name)
	}
	rest := false
	err := w.groups[healthySink].asking(ctx, "asking for the members", func(ctx context.Context, client *kgo.Client) error {
		described, err := kadm.NewClient(client).DescribeGroups(ctx, names...)
		rest = err == nil
		for _, name := range names {
			var members []string
			for _, m := range described[name].Members {
				members = append(members, m.ClientID)
			}
			slices.Sort(members)
			rest = rest && described[name].State == "Stable" && slices.Equal(members, there)
		}
		return err
	})
	w.unrest[len(w.unrest)-1].to = time.Since(w.began)
	w.calm = rest && err == nil
}

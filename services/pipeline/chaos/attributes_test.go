package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
)

// The short form of the trace, which `make test` runs. CHAOS_PROFILES=1000000 is the one of the promise.
const (
	defaultProfiles = 250_000
	perUser         = 10 // records of each user, on the average
	defaultBlows    = 12
	aheadProfiles   = 20_000 // records that may be on the topic and not committed
)

// TestProfilesAreToldExactlyOnce is the promise of attribute-sync: several sources tell of many users, nearly all
// of it repeats, while the two processes that read them are killed, stopped, and come back with their state and
// without it. What stands on braze.attributes afterwards is a naive model's differences, no more and no less.
func TestProfilesAreToldExactlyOnce(t *testing.T) {
	seed := number(t, "CHAOS_SEED", uint64(time.Now().UnixNano())%1_000_000)
	records := number(t, "CHAOS_PROFILES", defaultProfiles)
	n := number(t, "CHAOS_BLOWS", defaultBlows)
	s := newStage(t, seed)
	batch := []string{"ATTRIBUTE_BATCH=500", "ATTRIBUTE_BATCH=250", "ATTRIBUTE_BATCH=10000"}[s.dice.IntN(3)]
	linger := []string{"ATTRIBUTE_LINGER=0s", "ATTRIBUTE_LINGER=20ms"}[s.dice.IntN(2)]
	t.Logf("CHAOS_SEED=%d CHAOS_PROFILES=%d CHAOS_BLOWS=%d, %s %s", seed, records, n, batch, linger)
	s.replicas(build(t, Syncer), schema.CustomerProfiles, ownedFields, batch, linger)
	p, err := s.playTrace(t.Context(), newTrace(seed, records/perUser, records), records, n)
	if err != nil {
		t.Fatal(err)
	}
	p.check()
	t.Logf("seed %d, %v in all: %s\n%s", seed, time.Since(s.began).Round(100*time.Millisecond), s.blown(Syncer), p)
	if len(p.findings) > 0 {
		t.Errorf("%d findings; again with CHAOS_SEED=%d CHAOS_PROFILES=%d", len(p.findings), seed, records)
	}
	if s.killed[Syncer] == 0 || s.frozen == 0 || s.stopped[Syncer] == 0 || s.wiped[Syncer] == 0 || p.sum.delivered == 0 || p.sum.stale == 0 || p.sum.notOwner == 0 || p.sum.refused == 0 || p.sum.folds == 0 {
		t.Error("the run tries too little")
	}
}

// replicas makes places for two of attribute-sync, whose progress is that on one of its topics.
func (s *stage) replicas(bin, topic, fields string, env ...string) {
	s.t.Helper()
	file := filepath.Join(s.dir, "fields.yaml")
	if err := os.WriteFile(file, []byte(fields), 0o600); err != nil {
		s.t.Fatal(err)
	}
	for _, name := range []string{"sync-a", "sync-b"} {
		s.stand(Syncer, name, bin, topic, append([]string{"FIELDS_FILE=" + file}, env...)...)
	}
}

// playTrace runs the trace past the replicas, and gathers what it has left behind.
func (s *stage) playTrace(ctx context.Context, trace *trace, records, n int) (*profiles, error) {
	ctx, cancel := within(ctx, 2*time.Minute+time.Duration(n)*20*time.Second+time.Duration(records)*time.Millisecond, "the whole run")
	defer cancel()
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	c := &commits{g: s.stands[0].group}
	p := &profiles{}
	values := map[spot][]byte{} // of the records that become dead letters
	err := s.play(ctx, c, story{events: records, ahead: aheadProfiles}, blows(s.dice, n, records), func(most int) ([]*stream.Record, func()) {
		from := len(p.changes)
		chunk := make([]*stream.Record, most)
		for i := range chunk {
			p.changes = append(p.changes, trace.next())
			chunk[i] = s.changeRecord(&p.changes[from+i])
		}
		return chunk, func() {
			for i, r := range chunk {
				at := spot{r.Partition, r.Offset}
				p.place = append(p.place, at)
				if p.changes[from+i].refusal != "" {
					values[at] = r.Value
				}
			}
		}
	})
	if err != nil {
		return nil, err
	}
	if err := s.close(ctx); err != nil {
		return nil, err
	}
	return p, s.gather(ctx, p, values)
}

// gather reads the topics.
func (s *stage) gather(ctx context.Context, p *profiles, values map[spot][]byte) error {
	err := s.tellings(ctx, func(r *stream.Record, u *event.Update) error {
		t, err := tellingOf(r, u)
		if err != nil {
			return fmt.Errorf("update %d/%d: %w", r.Partition, r.Offset, err)
		}
		p.tellings = append(p.tellings, t)
		return nil
	})
	if err != nil {
		return err
	}
	p.notices, err = s.notices(ctx, func(at spot) []byte { return values[at] })
	return err
}

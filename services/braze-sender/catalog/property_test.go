package catalog_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/braze-sender/catalog"
)

// model is what the catalog is to hold, worked out in the plainest way: all records of all items, the newest of
// each key.
type model struct {
	records map[string]*event.Content // by key; the key of a withdrawal, too
}

func (m *model) put(c *event.Content) {
	old := m.records[c.Key()]
	if old != nil && old.Version != nil && c.Version != nil && *c.Version < *old.Version {
		return
	}
	m.records[c.Key()] = c
}

// rows are the catalog at a moment.
func (m *model) rows(collection string, now time.Time) map[string]string {
	rows := map[string]string{}
	for _, id := range ids {
		shown := func(locale string) *event.Content {
			key := collection + "/" + id
			withdrawal := m.records[key+"#*"]
			if locale != "" {
				key += "#" + locale
			}
			c := m.records[key]
			switch {
			case c == nil || !c.Approved || !c.ValidFrom.IsZero() && c.ValidFrom.After(now) || !c.ValidUntil.IsZero() && !c.ValidUntil.After(now):
				return nil
			case withdrawal != nil && !c.ReceivedAt.After(withdrawal.ReceivedAt):
				return nil
			}
			return c
		}
		bodies := map[string][]byte{}
		if own := shown(""); own != nil {
			bodies[""] = own.Body
			for _, v := range own.Variants {
				bodies[v.Locale] = v.Body
			}
		}
		if de := shown("de"); de != nil {
			bodies["de"] = de.Body
			if bodies[""] == nil {
				bodies[""] = de.Body
			}
		}
		row := map[string]json.RawMessage{}
		good := len(bodies) > 0
		for locale, body := range bodies {
			var fields map[string]json.RawMessage
			if json.Unmarshal(body, &fields) != nil {
				panic(string(body))
			}
			for name, value := range fields {
				good = good && len(value) < 5000 && (name != "n" || value[0] != '"') && !strings.Contains(string(value), poison)
				if locale != "" {
					name += "_" + locale
				}
				row[name] = value
			}
		}
		if good {
			b, err := json.Marshal(row)
			if err != nil {
				panic(err)
			}
			rows[catalog.ItemID(id)] = string(b)
		}
	}
	return rows
}

var ids = func() (ids []string) {
	for i := range 40 {
		ids = append(ids, fmt.Sprintf("i-%02d", i))
	}
	return append(ids, "with a space", "a_b", "ümlaut", strings.Repeat("long/", 60), "x--a_20b")
}()

// change makes up what happens to an item next.
func change(dice *rand.Rand, collection string, n int) (key string, c *event.Content) {
	id := ids[dice.IntN(len(ids))]
	body := fmt.Sprintf(`{"n":%d,"t":"text %d","tags":["a","b"]}`, n, dice.IntN(3))
	switch dice.IntN(14) {
	case 0:
		body = `{"n":"not a number"}`
	case 1:
		body = `{"n":1,"t":"` + strings.Repeat("x", 5001) + `"}`
	case 2:
		body = fmt.Sprintf(`{"n":%d,"t":"%s"}`, n, poison)
	case 3:
		body = fmt.Sprintf(`{"n":%d,"more%d":true}`, n, dice.IntN(5))
	case 4:
		body = `{"n":7}` // often the same
	}
	c = approved(collection, id, body)
	c.ReceivedAt = c.ReceivedAt.Add(time.Duration(n) * time.Microsecond).Truncate(time.Millisecond)
	now := time.Now().UTC().Truncate(time.Millisecond)
	switch dice.IntN(12) {
	case 0:
		return collection + "/" + id, nil
	case 1:
		return collection + "/" + id + "#de", nil
	case 2:
		c.Withdraws, c.Approved, c.Body = true, false, []byte(`{}`)
	case 3:
		c.Approved = false
	case 4:
		c.ValidFrom = now.Add(time.Duration(dice.IntN(6000)) * time.Millisecond)
	case 5:
		c.ValidUntil = now.Add(time.Duration(dice.IntN(6000)) * time.Millisecond)
	case 6:
		c.Locale = "de"
	case 7:
		c.Variants = []event.ContentVariant{{Locale: "de", Body: []byte(`{"n":1,"t":"deutsch"}`)}}
	case 8:
		version := int64(dice.IntN(4))
		c.Version = &version
	}
	return c.Key(), c
}

func TestTheCatalogEqualsTheCollectionAfterWhateverHappens(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			t.Parallel()
			happen(t, rand.New(rand.NewPCG(seed, 6)))
		})
	}
}

func happen(t *testing.T, dice *rand.Rand) {
	bad := brazefake.Knobs{
		P429: 0.05, P5xxBefore: 0.05, P5xxAfter: 0.05, PDropBefore: 0.05, PDropAfter: 0.05, RetryAfter: 50 * time.Millisecond,
		ApplyDelayMax: 80 * time.Millisecond, LatencyMax: 20 * time.Millisecond, PoolLimits: "all=none",
	}
	s := newScene(t, `[{name: rows, catalog: true}]`, bad)
	m := &model{records: map[string]*event.Content{}}
	// The first item has what types are known by.
	first := approved("rows", "i-00", `{"n":1,"t":"a","tags":["a"],"n_de":1,"t_de":"b"}`)
	s.put(t, first)
	m.put(first)
	begun := s.alone(t)
	s.await(t, "rows", m.rows("rows", time.Now()))
	begun.drain(t)

	n, records := 0, 0
	changes := func(count int) {
		var batch []*stream.Record
		for range count {
			n++
			key, c := change(dice, "rows", n)
			r := s.record(key, c)
			if c == nil {
				delete(m.records, key)
			} else {
				m.put(c)
			}
			batch = append(batch, r)
			if dice.IntN(10) == 0 { // twice, as a producer may write it
				batch = append(batch, s.record(key, c))
			}
		}
		records += len(batch)
		s.produce(t, batch...)
	}
	pause := func(most time.Duration) {
		<-time.After(time.Duration(dice.Int64N(int64(most))))
	}
	for range 4 {
		switch dice.IntN(3) {
		case 0: // a process that is killed
			cmd := s.spawn(t)
			for range 3 {
				changes(15)
				pause(1500 * time.Millisecond)
			}
			kill(t, cmd)
		case 1: // one that ends as it should
			r := s.alone(t)
			changes(20)
			pause(2 * time.Second)
			changes(20)
			r.drain(t)
		case 2: // nobody is there
			changes(30)
		}
	}
	r := s.alone(t)
	changes(20)
	longest := time.Now()
	for _, c := range m.records {
		for _, at := range []time.Time{c.ValidFrom, c.ValidUntil} {
			if at.After(longest) {
				longest = at
			}
		}
	}
	<-time.After(time.Until(longest.Add(500 * time.Millisecond))) // and what is due then has begun
	s.await(t, "rows", m.rows("rows", time.Now()))
	idle := func() bool {
		return r.value(t, "sluice_catalog_held", "") == 0 && r.value(t, "sluice_catalog_pending", "") == 0
	}
	until(t, "the end", idle)
	if err := s.sandbox.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Nothing that was late has undone it, and nothing in the catalog is there that was not to be.
	s.await(t, "rows", m.rows("rows", time.Now()))

	// A restart finds nothing to do.
	r.drain(t)
	if err := s.sandbox.SetKnobs(brazefake.Knobs{PoolLimits: "all=none"}); err != nil {
		t.Fatal(err)
	}
	before := len(s.front.seen())
	r = s.alone(t)
	until(t, "everything to be read", func() bool {
		return r.value(t, "sluice_catalog_accepted_total", "") >= float64(s.standing(t)) && idle()
	})
	if calls := s.front.seen()[before:]; len(calls) > 0 {
		t.Errorf("calls after a restart: %q", calls)
	}
	s.await(t, "rows", m.rows("rows", time.Now()))
	t.Logf("%d records, %d calls, %d items in the end", records, before, len(s.rows(t, "rows")))
}

// standing is how many records the topic holds, which is compacted.
func (s *scene) standing(t *testing.T) (n int) {
	t.Helper()
	err := stream.Read(t.Context(), s.config(), stream.Range{Topic: s.config().Topic(schema.ContentItems)}, func(*stream.Record) error {
		n++
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func kill(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
}

package table

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

func FuzzLocalFormats(f *testing.F) {
	f.Add(mark{[16]byte{1, 2}, 77, time.UnixMilli(1_700_000_000_000)}.encode())
	f.Add(appendValue(nil, 1_700_000_000_000, []byte("value")))
	f.Add(appendEntry(nil, entry{1_700_000_000_000, []byte("value")}))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeMark(b); err == nil && !bytes.Equal(m.encode(), b) {
			t.Errorf("mark %x is written as %x", b, m.encode())
		}
		if due, value, err := splitValue(b); err == nil {
			again, same, err := splitValue(appendValue(nil, due, value))
			if err != nil || again != due || !bytes.Equal(value, same) {
				t.Errorf("value %x, due %d: read again %x, %d, %v", value, due, same, again, err)
			}
		}
		if e, ok := decodeEntry(b); ok && !bytes.Equal(appendEntry(nil, e), b) {
			t.Errorf("entry %x is written as %x", b, appendEntry(nil, e))
		}
		due := readDue(&stream.Record{Headers: []stream.Header{{Key: "other"}, {Key: DueHeader, Value: b}}})
		if due < 1 || due > maxDue {
			t.Errorf("%q is due at %d", b, due)
		}
	})
}

func TestARecordOfTheChangelogSaysWhenItIsDue(t *testing.T) {
	tests := map[string]struct {
		value []byte
		due   time.Time
		want  int64
	}{
		"a value without a timer":      {[]byte("v"), time.Time{}, 0},
		"a value with a timer":         {[]byte("v"), time.UnixMilli(1_700_000_000_123), 1_700_000_000_123},
		"due before there were clocks": {[]byte("v"), time.UnixMilli(-5), 1},
		"due at the end of time":       {[]byte("v"), time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), maxDue},
		"a deletion has no timer":      {nil, time.UnixMilli(5), 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := record("state", 3, []byte("k"), test.value, dueMillis(test.due))
			if got := readDue(&r); got != test.want || r.Partition != 3 || r.Topic != "state" || (r.Value == nil) != (test.value == nil) {
				t.Errorf("due %d, want %d; record %+v", got, test.want, r)
			}
		})
	}
}

func TestWhatACopyIsWorth(t *testing.T) {
	now := time.Now().Truncate(time.Millisecond)
	topic := [16]byte{7}
	tests := map[string]struct {
		mark   *mark
		extent stream.Extent
		from   int64
		kept   bool
	}{
		"there is none":                               {nil, stream.Extent{First: 5, End: 20}, 5, false},
		"it is up to date":                            {&mark{topic, 20, now}, stream.Extent{First: 5, End: 20}, 20, true},
		"it is behind":                                {&mark{topic, 10, now}, stream.Extent{First: 5, End: 20}, 10, true},
		"what follows it is deleted":                  {&mark{topic, 4, now}, stream.Extent{First: 5, End: 20}, 5, false},
		"it has more than the topic":                  {&mark{topic, 21, now}, stream.Extent{First: 5, End: 20}, 5, false},
		"it is of another topic of the name":          {&mark{[16]byte{8}, 10, now}, stream.Extent{First: 5, End: 20}, 5, false},
		"nobody has looked after it for five days":    {&mark{topic, 10, now.Add(-5 * 24 * time.Hour)}, stream.Extent{First: 5, End: 20}, 10, true},
		"tombstones may be gone that it has not seen": {&mark{topic, 10, now.Add(-TombstoneRetention + time.Hour)}, stream.Extent{First: 5, End: 20}, 5, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := OpenStore(StoreOptions{Dir: t.TempDir(), Log: zerolog.Nop()})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			table, epoch, err := s.table("state")
			if err != nil {
				t.Fatal(err)
			}
			r := &restoration{store: s, table: table, epoch: epoch, topic: topic, began: now, copies: map[int32]*mark{}}
			key := appendPrefix(nil, table, 1, spaceValue)
			if err := s.db.Set(key, []byte("\x00v"), pebble.NoSync); err != nil {
				t.Fatal(err)
			}
			if test.mark != nil {
				if err := s.db.Set(appendPrefix(nil, table, 1, spaceMeta), test.mark.encode(), pebble.NoSync); err != nil {
					t.Fatal(err)
				}
			}
			from, err := r.begin(1, test.extent)
			if err != nil || from != test.from {
				t.Errorf("to be read from %d (%v), want %d", from, err, test.from)
			}
			_, closer, err := s.db.Get(key)
			if kept := err == nil; kept != test.kept {
				t.Errorf("what it had is kept: %t, want %t", kept, test.kept)
			}
			if err == nil {
				closer.Close()
			}
		})
	}
}

func TestAStoreForgetsWhatNobodyLooksAfter(t *testing.T) {
	dir := t.TempDir()
	s, err := OpenStore(StoreOptions{Dir: dir, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenStore(StoreOptions{Dir: dir, Log: zerolog.Nop()}); err == nil {
		t.Error("a store was opened twice")
	}
	first, _, err := s.table("first")
	if err != nil {
		t.Fatal(err)
	}
	second, _, err := s.table("second")
	if err != nil || second == first {
		t.Fatal(first, second, err)
	}
	for _, c := range []struct {
		table     uint16
		partition int32
		age       time.Duration
	}{{first, 0, time.Hour}, {first, 1, 8 * 24 * time.Hour}, {second, 0, 9 * 24 * time.Hour}, {second, 300, 0}} {
		m := mark{Next: 1, AsOf: time.Now().Add(-c.age)}
		for key, value := range map[string][]byte{
			string(appendPrefix(nil, c.table, c.partition, spaceMeta)):  m.encode(),
			string(appendPrefix(nil, c.table, c.partition, spaceValue)): []byte("\x00v"),
		} {
			if err := s.db.Set([]byte(key), value, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = OpenStore(StoreOptions{Dir: dir, Log: zerolog.Nop(), Temporary: true}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var left []string
	for _, table := range []uint16{first, second} {
		for _, partition := range []int32{0, 1, 300} {
			if _, closer, err := s.db.Get(appendPrefix(nil, table, partition, spaceValue)); err == nil {
				left = append(left, fmt.Sprintf("%d/%d", table, partition))
				closer.Close()
			}
		}
	}
	if diff := cmp.Diff([]string{"1/0", "2/300"}, left); diff != "" {
		t.Errorf("copies that are left (-want +got):\n%s", diff)
	}
	if again, _, err := s.table("second"); err != nil || again != second {
		t.Errorf("the second table has number %d now, %v", again, err)
	}
}

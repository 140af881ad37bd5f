package simulate

import (
	"encoding/binary"
	"math"
	"math/big"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/linkedin/goavro/v2"

	"github.com/sluicehq/sluice/schemas"
)

// goavro leaves out what its schema does not know, without a word: only reading back shows a typo.
func TestEveryFieldOfARecordIsReadBack(t *testing.T) {
	t.Parallel()
	events, commerce := framer(t, "customer.events"), framer(t, "commerce.events")
	story := NewStory(Telling{Seed: 1, Mishaps: Upstream, Straight: true})
	for range 500 {
		a := story.Next()
		for i := range a.Items {
			f := events
			if a.Items[i].Commerce != nil {
				f = commerce
			}
			want := Upstreamer{Source: "erp"}.native(a.Person, &a.Items[i])
			value, err := f.Frame(want)
			if err != nil {
				t.Fatal(err)
			}
			if value[0] != 0 || binary.BigEndian.Uint32(value[1:]) != 42 {
				t.Fatalf("header %x, want a zero byte and the id 42", value[:5])
			}
			got, rest, err := f.Codec.NativeFromBinary(value[headerSize:])
			if err != nil || len(rest) > 0 {
				t.Fatalf("reading back: %v, %d bytes left over", err, len(rest))
			}
			if diff := cmp.Diff(any(want), got, sameAmount); diff != "" {
				t.Fatalf("act %d (-written +read):\n%s", a.Number, diff)
			}
		}
	}
}

// sameAmount compares money, which goavro reads as fractions.
var sameAmount = cmp.Comparer(func(a, b *big.Rat) bool { return a.Cmp(b) == 0 })

func framer(t *testing.T, topic string) *Framer {
	t.Helper()
	codec, err := goavro.NewCodec(schemas.Latest(topic))
	if err != nil {
		t.Fatal(err)
	}
	return &Framer{ID: 42, Codec: codec}
}

func TestMishapsOfRecords(t *testing.T) {
	t.Parallel()
	f := framer(t, "customer.events")
	p := NewPopulation(1, 1)[0]
	it := Item{ID: "sim-1-000001", Kind: "track", Name: "Product Viewed", Time: time.UnixMilli(0).UTC()}
	for _, c := range []struct {
		name   string
		mishap Mishap
		holds  func(key string, value []byte) bool
	}{
		{"none is readable", NoMishap, func(key string, value []byte) bool {
			_, _, err := f.Codec.NativeFromBinary(value[5:])
			return key == p.Key && err == nil
		}},
		{"garbage has no magic byte", Garbage, func(_ string, value []byte) bool { return value[0] != 0 }},
		{"an unknown schema has an id nobody has", UnknownSchema, func(_ string, value []byte) bool {
			return binary.BigEndian.Uint32(value[1:]) == math.MaxInt32-1
		}},
		{"a key mismatch has somebody else's key", KeyMismatch, func(key string, _ []byte) bool { return key != p.Key }},
		{"a hostile record claims more than there is", Hostile, func(_ string, value []byte) bool {
			claim, n := binary.Varint(value[5:])
			return n > 0 && claim > 1<<30 && len(value) < 20
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m, err := Upstreamer{Source: "erp"}.message(framers{events: f}, &Act{Person: p, Mishap: c.mishap}, &it)
			if err != nil {
				t.Fatal(err)
			}
			if !c.holds(string(m.Key), m.Value) {
				t.Errorf("key %q, value %q", m.Key, m.Value)
			}
		})
	}
}

package table

import (
	"fmt"
	"testing"
)

func TestKeysOfOneHashDoNotHideOneAnother(t *testing.T) {
	h := newHot(0, 100)
	a, b := item{tag: 1, key: []byte("a"), value: []byte("1"), dirty: true}, item{tag: 1, key: []byte("b"), value: []byte("2"), dirty: true}
	if !h.put(a) {
		t.Fatal("the first value was not taken")
	}
	h.index[h.hash(1, b.key)] = h.index[h.hash(1, a.key)] // as if they had the same hash
	if i, ok := h.get(1, b.key); ok {
		t.Errorf("a key that was not put has the value %s", i.value)
	}
	if h.put(b) {
		t.Error("a value was taken over one that is not on the disk")
	}
	var written []string
	if err := h.flush(func(i item) error { written = append(written, string(i.key)); return nil }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(written) != "[a]" || h.dirty != 0 {
		t.Errorf("written: %v, and %d bytes are left", written, h.dirty)
	}
	if !h.put(b) {
		t.Error("a value was not taken although the other is on the disk")
	}
	if i, ok := h.get(1, b.key); !ok || string(i.value) != "2" {
		t.Errorf("got %s, %t", i.value, ok)
	}

	p := newPile(0)
	for _, key := range []string{"x", "y", "x"} {
		p.put(7, []byte(key), entry{at: int64(len(p.b)), value: []byte("v" + key)})
	}
	for _, key := range []string{"x", "y"} {
		if e, ok := p.get(7, []byte(key)); !ok || string(e.value) != "v"+key {
			t.Errorf("pile: %s has %s, %t", key, e.value, ok)
		}
	}
	if _, ok := p.get(7, []byte("z")); ok || p.len() != 2 {
		t.Errorf("pile: z is there: %t; %d entries, want 2", ok, p.len())
	}
}

func TestOldValuesAreDroppedAndTheNewestKept(t *testing.T) {
	h := newHot(0, 100)
	for i := range 1000 {
		it := item{tag: 1, key: fmt.Appendf(nil, "k%d", i%40), value: fmt.Appendf(nil, "v%d", i), dirty: true}
		if h.full(it) {
			if err := h.flush(func(item) error { return nil }); err != nil {
				t.Fatal(err)
			}
		}
		if !h.put(it) {
			t.Fatal("a value was not taken")
		}
		if got, ok := h.get(1, it.key); !ok || string(got.value) != string(it.value) {
			t.Fatalf("after %s: %s, %t", it.value, got.value, ok)
		}
	}
	if len(h.segments) != h.keep || len(h.index) >= 40 {
		t.Errorf("%d segments and %d keys are kept of 40, want %d segments and fewer keys", len(h.segments), len(h.index), h.keep)
	}
	for i := 960; i < 1000; i++ {
		if got, ok := h.get(1, fmt.Appendf(nil, "k%d", i%40)); ok && string(got.value) != fmt.Sprintf("v%d", i) {
			t.Errorf("k%d is %s, which is not the newest", i%40, got.value)
		}
	}
}

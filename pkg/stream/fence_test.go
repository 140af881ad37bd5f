package stream

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOnlyTheOwnersReceiptsCount(t *testing.T) {
	// 7 had the partition first, then 8 from offset 10 on, then 9 from 20 on.
	fs := fences(nil).raise(0, 7).raise(10, 8).raise(20, 9)
	for _, c := range []struct {
		name             string
		offset, producer int64
		want             bool
	}{
		{"the first owner's, in its time", 9, 7, true},
		{"the first owner's, too late", 10, 7, false},
		{"the first owner's, two owners too late", 25, 7, false},
		{"the second owner's, in its time", 19, 8, true},
		{"the second owner's, before its time", 5, 8, false},
		{"the last owner's", 1_000, 9, true},
		{"a stranger's", 15, 99, false},
	} {
		if got := fs.count(c.offset, c.producer); got != c.want {
			t.Errorf("%s: counts %v", c.name, got)
		}
	}
	if !fences(nil).count(3, 7) || !(fences{{From: 5, Producer: 1}}).count(4, 7) {
		t.Error("before the first fence every receipt counts")
	}
}

func TestAFenceThatLetNothingThroughGoes(t *testing.T) {
	fs := fences(nil).raise(10, 7).raise(10, 8).raise(10, 9)
	if diff := cmp.Diff(fences{{10, 9}}, fs); diff != "" {
		t.Error(diff)
	}
}

func TestFencesBehindTheFirstReceiptGo(t *testing.T) {
	fs := fences{{0, 7}, {10, 8}, {20, 9}}
	for from, want := range map[int64]fences{
		0:  {{0, 7}, {10, 8}, {20, 9}},
		9:  {{0, 7}, {10, 8}, {20, 9}},
		10: {{10, 8}, {20, 9}},
		99: {{20, 9}},
	} {
		if diff := cmp.Diff(want, fs.since(from)); diff != "" {
			t.Errorf("from %d: %s", from, diff)
		}
	}
}

func TestManyOwnersInARowFitIntoACommit(t *testing.T) {
	var fs fences
	for i := range int64(10_000) {
		fs = fs.raise(1<<60+i, 1<<60+i)
	}
	text, err := json.Marshal(note{1 << 60, fs.since(1 << 60), 0})
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 4096 { // offset.metadata.max.bytes of a broker
		t.Errorf("%d bytes", len(text))
	}
	back, ok := parseNote(string(text))
	if !ok {
		t.Fatal("not a note")
	}
	if diff := cmp.Diff(fs, back.Fences); diff != "" {
		t.Error(diff)
	}
}

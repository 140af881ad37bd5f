package stream

import (
	"encoding/json"
	"fmt"
	"sort"
)

// fence says whose receipts count from an offset of the receipts' partition on: those of the producer
// with that id, until the next fence.
//
// A member that is killed may leave receipts on their way to the broker, which appends them whenever
// it comes to them: also when the next owner has looked for receipts already, found none, and done
// the work again. Whoever comes after that owner must not believe them, or it would skip a record that
// its predecessor has put before others once more. A transaction would fence the late writer out, but
// the receipts' topic is public, and not every client can read transactions. So everyone who takes a
// partition over notes, in its first commit, how far it has looked, and that from there on only its
// own receipts count.
type fence struct {
	From     int64
	Producer int64
}

// maxFences bounds what a commit says of them: many owners in a row have come no further.
const maxFences = 40

// MarshalJSON writes a fence as a pair.
func (f fence) MarshalJSON() ([]byte, error) { return json.Marshal([2]int64{f.From, f.Producer}) }

// UnmarshalJSON reads the pair.
func (f *fence) UnmarshalJSON(text []byte) error {
	var pair [2]int64
	if err := json.Unmarshal(text, &pair); err != nil {
		return fmt.Errorf("reading a fence: %w", err)
	}
	f.From, f.Producer = pair[0], pair[1]
	return nil
}

// fences are in the order of their offsets.
type fences []fence

// at finds the fence that an offset stands behind; -1 when there is none.
func (fs fences) at(offset int64) int {
	return sort.Search(len(fs), func(i int) bool { return fs[i].From > offset }) - 1
}

// count reports whether a receipt of a producer counts. Before the first fence all do.
func (fs fences) count(offset, producer int64) bool {
	i := fs.at(offset)
	return i < 0 || fs[i].Producer == producer
}

// raise returns the fences with one more at the end. One that stood there already has let nothing
// through, and goes.
func (fs fences) raise(from, producer int64) fences {
	raised := append(fences{}, fs...)
	for len(raised) > 0 && raised[len(raised)-1].From >= from {
		raised = raised[:len(raised)-1]
	}
	raised = append(raised, fence{from, producer})
	return raised[max(0, len(raised)-maxFences):]
}

// since returns the fences that matter to whoever reads receipts from an offset on.
func (fs fences) since(offset int64) fences { return fs[max(0, fs.at(offset)):] }

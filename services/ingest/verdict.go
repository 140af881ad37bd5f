package ingest

// verdict is what becomes of an item. The zero verdict is none yet, so that a forgotten one cannot
// pass for a yes.
type verdict uint32

const (
	pending     verdict = iota
	accepted            // every in-sync replica has its record
	duplicate           // its id was accepted before; nothing is written
	rejected            // it can never be accepted, and the problem says why
	unavailable         // Kafka did not take it in time: repeat it
	skipped             // there is nothing to write
)

var verdicts = [...]string{"pending", "accepted", "duplicate", "rejected", "unavailable", "skipped"}

// String is the word that stands in answers and metrics.
func (v verdict) String() string { return verdicts[v] }

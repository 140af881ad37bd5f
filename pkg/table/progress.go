package table

import (
	"sync/atomic"
	"time"
)

// Progress is how far restoring has come.
type Progress struct {
	Topic      string // on the cluster
	Partitions int    // to be restored
	Records    int64  // read so far
	Of         int64  // to be read, at most: compaction leaves gaps between offsets
	Elapsed    time.Duration
	Done       bool
}

// Rate is how many records a second were read.
func (p Progress) Rate() float64 {
	if p.Elapsed <= 0 {
		return 0
	}
	return float64(p.Records) / p.Elapsed.Seconds()
}

// restored counts what a restoration has read, for whoever looks.
type restored struct{ records, of atomic.Int64 }

// reporter tells of a restoration every second.
type reporter struct {
	tell    func(Progress)
	p       Progress
	counts  *restored
	started time.Time
	told    time.Time
}

func newReporter(tell func(Progress), topic string, counts *restored) *reporter {
	now := time.Now()
	return &reporter{tell: tell, p: Progress{Topic: topic}, counts: counts, started: now, told: now}
}

// begin says how much there is to be read.
func (r *reporter) begin(partitions int, of int64) {
	r.p.Partitions, r.p.Of = partitions, of
	r.counts.records.Store(0)
	r.counts.of.Store(of)
}

func (r *reporter) read(n int) {
	r.p.Records += int64(n)
	r.counts.records.Store(r.p.Records)
	if now := time.Now(); now.Sub(r.told) >= time.Second {
		r.report(now)
	}
}

func (r *reporter) done() {
	r.p.Done = true
	r.report(time.Now())
}

func (r *reporter) report(now time.Time) {
	r.told, r.p.Elapsed = now, now.Sub(r.started)
	if r.tell != nil {
		r.tell(r.p)
	}
}

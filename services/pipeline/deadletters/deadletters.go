// Package deadletters is what an operator does about records that could not go on: look at them by
// cause, look at one, and send them back once the cause is gone.
//
//	read.go      the letters of the dead-letter topics, and what was replayed of them
//	cause.go     letters that have the same cause
//	filter.go    which letters are meant
//	plan.go      what would happen, and what to know before; nothing moves
//	judge.go     which of them go back, and why the others do not
//	replay.go    sending them back, each customer's in the order in which they stood on their topic
//	sink.go      letters of a sink or of a target, which go back to it alone
//
// A letter is sent back at most once. What remembers that it was is twofold. The copy itself says in
// its header replayed-from of which record it is one: that is durable in the same moment as the copy,
// so no crash comes between them. But the origin's topic keeps it for days only, and letters live for
// weeks: so a mark follows among the dead letters, a letter with the reason replayed and nothing in it,
// which outlives the letter it is about. The header alone would let an old letter be doubled; the mark
// alone would let one be doubled that a crash left without it.
//
// Two operators who replay the same letters at the same moment see neither's copies, and double them:
// one at a time, please.
package deadletters

import (
	"time"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/services/pipeline/replay"
)

// Letter is a dead letter and where it stands.
type Letter struct {
	deadletter.Letter
	ID      replay.Place // in the dead-letter topic
	At      time.Time    // when it was written
	Service string       // who gave the record up
	Sink    string       // of currents-fanout, or target of crm-writeback, for which it was given up; empty of all others
}

// record is what a letter is about: a record, and of currents-fanout the sink that could not take it. Another
// sink may have a letter about the same record, or may have taken it.
type record struct {
	replay.Place
	sink string
}

func (l *Letter) record() record { return record{l.Origin(), l.Sink} }

// Origin is where the record stood.
func (l *Letter) Origin() replay.Place {
	return replay.Place{Topic: l.OriginTopic, Partition: l.OriginPartition, Offset: l.OriginOffset}
}

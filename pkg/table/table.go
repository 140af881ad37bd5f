// Package table keeps state by key: on Kafka, where it is safe, and in a copy on the local disk, where it is
// fast. It knows nothing of what it stores.
//
// The truth is a topic. A [Processor] reads input topics, changes values and emits records; what it emits, the
// changed values, which go to a compacted topic (the changelog), and how far it has read become durable in one
// Kafka transaction. Only then are the values written to the local copy, together with the offset of the
// changelog that they reach up to. So the copy is never ahead of the truth, and a crash leaves it a little behind:
// whoever opens it reads the rest of the changelog and goes on. That is why the copy is written without a log of its
// own and without waiting for the disk, and why a copy that is damaged is simply thrown away.
//
// State is cut like the topics: what is stored under a key of partition n stands in partition n of the
// changelog, and whoever the group gives partition n of the inputs to has it. When partitions move, the new owner
// restores them beside its other work (restore.go); records of a partition wait until its copy is complete. A copy of a
// partition that went away is kept for a while: when the partition comes back only the difference is read.
//
// A value may have a due time. Values that are due are handed out until somebody changes them (due.go), so
// that things can end by themselves.
//
// A [View] is the other kind of table: the recent past of a topic that somebody appends to anyhow, such as the receipts of
// what was sent. It costs nothing on Kafka, and it is asked before every record, so it must say "not there" in no
// time.
//
// All copies of one process share one [Store].
package table

import "time"

// TombstoneRetention is what delete.retention.ms of a changelog has to be at least. A tombstone, which says that a key
// was deleted, may be gone after that time: a copy that has not been looked after for so long could keep what was
// deleted, and is thrown away.
const TombstoneRetention = 7 * 24 * time.Hour

// DueHeader is the header of a record of a changelog that says when its value is due, in milliseconds since 1970,
// as decimal text.
const DueHeader = "due"

// Package chaos is the crash suite: the proof of what is promised about losing nothing, keeping every
// user's order and doubling nothing without a reason.
//
// A run sends numbered events of many users through the front door while a schedule, drawn from a
// seed, kills ingest and braze-sender in the middle of their work, lets a second sender come and go,
// and takes one broker of three away; and while Braze is ill throughout. The services are the binaries
// that are shipped, in processes of their own; Kafka is a real one. When all is quiet, what the run
// has left behind is a [History], and [Check] holds it to the promise.
//
//	schedule.go        a seed becomes a schedule                                         pure
//	chaos.go           what a run leaves behind
//	checker.go         the laws, and the causes that excuse a duplicate                  pure
//	report.go          the law in numbers, and what was broken
//	harness_test.go    a story played with real processes; process_test.go starts and kills them
//	load_test.go       the callers of the front door
//	witness_test.go    the sandbox Braze, and who asked it for what
//	papers_test.go     what stands on the topics; group_test.go, how far the senders' group is
//	chaos_test.go      the suite, and the proof that it can fail
//
// Profiles have a suite of their own, since what is promised of them is more: exactly once from topic to topic. Two
// processes of attribute-sync read what several sources say, and are killed, stopped, taken for dead while they stand
// still, and come back with their state or without it.
//
//	attributes_test.go         a trace of which most is repeats, and what was told of it
//	attributes_braze_test.go   the whole way to the sandbox, past braze-sender, which is killed too
//	attributes_cases_test.go   lives of support cases, and cases after which everything is lost
//	attributes_laws_test.go    the laws: the differences of a naive model, and what each came from; pure
//	attributes_model_test.go   the rules of precedence, told the naive way; pure
//	attributes_trace_test.go   what sources say; pure
//	attributes_stage_test.go   processes and topics
//	attributes_crimes_test.go  the proof that the laws notice
//
// A checker that never objects proves nothing. So its tests feed it small histories of every crime,
// and the suite is run against builds of braze-sender that break a rule each (build tags
// break_receipts and break_flights).
package chaos

import (
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
)

// Event is one event of the load: whose it is, and which of theirs, counted from 1.
type Event struct {
	User string
	Seq  int
}

// History is all that a run leaves behind. Times are of one machine's clock.
type History struct {
	Asked    map[Event]Asking
	Topic    []Record      // customer.events; of each partition in its order
	Receipts []Receipt     // braze.deliveries; of each partition in its order
	Letters  []Letter      // braze-sender.deadletters
	Requests []Request     // at Braze, in order of arrival
	Ends     []End         // of processes
	Strange  []string      // what stood on a topic and could not be read
	Sandbox  []string      // rules that the sandbox saw broken
	Most     int           // objects that a request may hold
	Joined   int           // times that a further sender joined
	Outages  int           // times that a broker was stopped
	Took     time.Duration // from the first event to quiet
}

// Asking is how the load got an event through the front door.
type Asking struct {
	Requests   int  // that carried it
	Unanswered int  // of those: no answer, or one that asks to repeat it
	Accepted   bool // the door said yes, which is a promise
}

// Record is a record of customer.events.
type Record struct {
	Partition int32
	Offset    int64
	Event     Event
	Value     []byte
}

// Receipt is a final receipt.
type Receipt struct {
	Partition int32 // of the record
	Offset    int64 // likewise
	Kind      outcome.Kind
	Reason    string    // and detail, for a person
	Settled   time.Time // when the sender wrote it, whole milliseconds
	Seen      time.Time // when it could be read at the latest
}

// Letter is a dead letter.
type Letter struct {
	Partition int32 // of the record
	Offset    int64 // likewise
	Value     []byte
	Written   time.Time // whole milliseconds
}

// Request is a request that reached Braze.
type Request struct {
	Sender   string // the process that made it; no two starts share a name
	Arrived  time.Time
	Answered time.Time // or dropped
	Status   int       // of the answer; 0 when there was none
	Applied  bool      // Braze took it, answered or not
	Events   []Object
	Marks    []Object // attributes objects; Seq is the value that they write
}

// Object is an object of a request.
type Object struct {
	Event
	Refused bool // an error named it, so it was not applied with the others
}

// Roles of processes.
const (
	Door   = "ingest"
	Sender = "braze-sender"
)

// How is the way in which a process ended.
type How uint8

// The ways. What a process holds is excused by Killed and Died alone.
const (
	_      How = iota
	Killed     // with SIGKILL
	Left       // asked to, and with exit code 0
	Died       // by itself, or badly when asked to leave: a finding
)

// End is the end of a process.
type End struct {
	Process string // as in Request.Sender
	Role    string // ingest, braze-sender
	How     How
	Begun   time.Time // a moment before the signal
	Gone    time.Time // the process was no more
	Words   string    // last words of one that died
}

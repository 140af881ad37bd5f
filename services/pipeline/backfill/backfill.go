// Package backfill reads Currents' Avro files, which Braze puts into object storage, and lets their events
// onto braze.engagements as if they had come to the front door: to every sink, each event once.
//
//	files.go        which files there are, in which order
//	read.go         what stands in them, counted without writing anything
//	write.go        producing, at a rate
//	checkpoint.go   which files are done
//
// A backfill that is interrupted is given once more. What was written already is a double of itself, and
// currents-fanout knows it by its id for eight days (CURRENTS_DEDUP_WINDOW); a checkpoint file leaves whole
// files out, however much later. Neither helps whoever reads the topic without counting distinct ids.
package backfill

import (
	"time"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/quota"
	"github.com/sluicehq/sluice/pkg/stream"
)

// Source is the header "source" of the records that a backfill writes.
const Source = "currents-backfill"

// Order is what an operator wants.
type Order struct {
	Path       string // a file, a folder with everything below it, or a pattern of either
	Workspace  string // of the events; empty where nobody needs to know
	Checkpoint string // file that remembers which files are done; none when empty
	Rate       quota.Rate

	// Progress is told now and then; nil for nobody.
	Progress func(Report)
}

// Report is how far a backfill has come.
type Report struct {
	Files  int            `json:"files"`          // to be read
	Done   int            `json:"files_read"`     // of these
	Known  int            `json:"files_left_out"` // beside these, which the checkpoint has
	Events int            `json:"events"`         // read
	Types  map[string]int `json:"types"`          // of these
	First  time.Time      `json:"first,omitzero"` // when the oldest of them happened
	Last   time.Time      `json:"last,omitzero"`  // and the newest
	Bad    []Bad          `json:"unreadable"`     // files that could not be read, or not to their end
	Sent   int            `json:"written"`        // events that are durable on the topic
	Unfit  int            `json:"not_taken"`      // events that the topic will never take: they are too large
}

// Bad is a file that could not be read to its end. Braze leaves such behind where a connection was cut, and
// writes another in its place (braze-docs: google_cloud_storage_for_currents).
type Bad struct {
	File string `json:"file"`
	Why  string `json:"why"`
}

func (r *Report) count(e *event.Engagement) {
	r.Events++
	r.Types[e.Type]++
	if r.First.IsZero() || e.OccurredAt.Before(r.First) {
		r.First = e.OccurredAt
	}
	if e.OccurredAt.After(r.Last) {
		r.Last = e.OccurredAt
	}
}

// Target is where the events go.
type Target struct {
	Producer *stream.Producer
	Topic    string // on the cluster
	SchemaID int
}

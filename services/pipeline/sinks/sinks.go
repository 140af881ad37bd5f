// Package sinks is what an operator does about the sinks of currents-fanout: look how far each has come,
// let one pause and go on, and let one have a stretch of its topics once more.
//
//	list.go     how far each sink is, and who has paused it
//	pause.go    the words on currents-fanout.state that its replicas listen to
//	replay.go   pausing, moving the committed offsets, going on
//
// Each sink is a consumer group of its own, and so can be moved without the others noticing. Nothing here
// talks to currents-fanout itself: what it is to do stands on a topic, and is done by every replica, also
// by one that is started later.
package sinks

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluicehq/sluice/pkg/schema"
)

// Service is whose sinks these are.
const Service = "currents-fanout"

// Sink is a sink as its configuration names it.
type Sink struct {
	Name   string
	Kind   string   // empty where it is only known from the topic of states
	Topics []string // without prefix
	Start  string   // earliest or latest: where a group begins that has committed nothing
}

// Group is a sink's consumer group, without prefix.
func (s Sink) Group() string { return Service + "." + s.Name }

// topics are what a sink reads; of one that nobody describes, both there are.
func (s Sink) topics() []string {
	if len(s.Topics) > 0 {
		return s.Topics
	}
	return []string{schema.BrazeEngagements, schema.BrazeActions}
}

// Find is the sink of that name. Without it the error names those there are.
func Find(all []Sink, name string) (Sink, error) {
	if i := slices.IndexFunc(all, func(s Sink) bool { return s.Name == name }); i >= 0 {
		return all[i], nil
	}
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.Name
	}
	return Sink{}, UnknownError(fmt.Sprintf("there is no sink %s; there are %s (SINKS_FILE)", name, strings.Join(names, ", ")))
}

// UnknownError is the name of a sink that there is not.
type UnknownError string

// Error names those there are.
func (e UnknownError) Error() string { return string(e) }

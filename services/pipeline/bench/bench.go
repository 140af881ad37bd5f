// Package bench measures what Sluice does per second and core, beside a limit measured in the same
// run on the same machine: a minimal program that does only what cannot be left out.
//
// Every subject runs in a process of its own, so that its CPU time and peak memory are its own; the
// broker and the stand-in for Braze run in another. Run it with make bench.
package bench

import (
	"fmt"
	"strconv"
	"time"

	"github.com/sluicehq/sluice/pkg/event"
)

// Workload is what is moved: Events events of Users users, each of about 300 bytes of properties.
type Workload struct {
	Events int
	Users  int
}

// Event is event number i of the workload; a user's events carry rising numbers.
func (w Workload) Event(i int) event.Event {
	now := time.Now()
	return event.Event{
		ID:         "bench-" + strconv.Itoa(i),
		User:       event.User{ExternalID: "user-" + strconv.Itoa(i%w.Users)},
		Name:       "Product Viewed",
		Kind:       event.KindTrack,
		OccurredAt: now, ReceivedAt: now,
		Source:     "bench",
		Properties: w.Properties(i),
	}
}

// Properties are a product view as a shop would send it.
func (w Workload) Properties(i int) []byte {
	return fmt.Appendf(nil, `{"seq":%d,"product_id":"P-%d","product_name":"Trail Runner 42 blue","variant_id":"P-%d-42","price":84.90,"currency":"EUR","source":"web","image_url":"https://shop.example.com/i/%d.jpg","product_url":"https://shop.example.com/p/%d","metadata":{"category":"shoes","campaign":"spring","list":"search results"}}`,
		i/w.Users, i%5000, i%5000, i%5000, i%5000)
}

// Usage is what a process has taken.
type Usage struct {
	CPU    time.Duration
	Wall   time.Duration
	PeakMB float64
}

// Result is a measured run.
type Result struct {
	Events   int
	Requests int // that carried them
	Usage
	Misordered int64
}

// add takes another run of the same into the account.
func (r *Result) add(other Result) {
	r.Events += other.Events
	r.Requests += other.Requests
	r.Misordered += other.Misordered
	r.CPU += other.CPU
	r.Wall += other.Wall
	r.PeakMB = max(r.PeakMB, other.PeakMB)
}

// PerSecond is events per second of time.
func (r Result) PerSecond() float64 { return float64(r.Events) / r.Wall.Seconds() }

// PerCPUSecond is events per second of the subject's CPU.
func (r Result) PerCPUSecond() float64 { return float64(r.Events) / r.CPU.Seconds() }

package chaos

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Action is something that a schedule does to the run.
type Action uint8

// The actions.
const (
	_          Action = iota
	KillSender        // SIGKILL; it is started again at once
	KillDoor          // the same for ingest
	StopBroker        // until StartBroker
	StartBroker
	Join  // a second sender
	Leave // it goes again
)

var actions = [...]string{"", "kill braze-sender", "kill ingest", "stop broker", "start broker", "a second sender joins", "the second sender leaves"}

// String is how the log of a run says it.
func (a Action) String() string { return actions[a] }

// Step is one entry of a schedule.
type Step struct {
	// After is how many records must have had their end. It is the run's own progress and not time, so
	// that a slow machine gets the same story, only slower.
	After int
	// Delay is how long after its next request whoever is to go is told.
	Delay time.Duration
	Do    Action
	Hard  bool // SIGKILL where SIGTERM would do
	Pick  int  // whom, where there is a choice
}

func (s Step) String() string {
	how := ""
	if s.Hard {
		how = " (SIGKILL)"
	}
	return fmt.Sprintf("%d %v%s", s.After, s.Do, how)
}

// Plan makes a schedule of a seed: that many kills, a third of them of ingest, spread over the run of
// so many events. With brokers, one at a time is away while kills go on; and a second sender comes and
// goes, once for every five kills and at least once. Every other time it is SIGKILL that ends them.
func Plan(seed uint64, kills, events, brokers int) []Step {
	dice := rand.New(rand.NewPCG(seed, 1))
	var steps []Step
	somewhere := func(from, to float64) int {
		return int(float64(events) * (from + (to-from)*dice.Float64()))
	}
	const begin, end = 0.02, 0.90 // of the run: something must be under way before, and afterwards
	for i := range kills {
		// One in each stretch, so that they do not all fall together.
		stretch := (end - begin) / float64(kills)
		s := Step{
			After: somewhere(begin+float64(i)*stretch, begin+float64(i+1)*stretch),
			Delay: time.Duration(dice.Int64N(int64(40 * time.Millisecond))),
			Do:    KillSender, Hard: true, Pick: dice.IntN(2),
		}
		if i%3 == 1 {
			s.Do = KillDoor
		}
		steps = append(steps, s)
	}
	rounds := max(1, kills/5)
	length := (end - begin) / float64(rounds)
	first := dice.IntN(2)
	for i := range rounds {
		from := begin + float64(i)*length
		between := func(a, b float64) int { return somewhere(from+a*length, from+b*length) }
		steps = append(steps,
			Step{After: between(0.05, 0.4), Do: Join},
			Step{After: between(0.5, 0.95), Do: Leave, Hard: (i+first)%2 == 0}, // with a request just begun
		)
		if brokers > 1 {
			steps = append(steps,
				Step{After: between(0.05, 0.3), Do: StopBroker, Hard: i%2 == 0, Pick: dice.IntN(brokers)},
				Step{After: between(0.4, 0.7), Do: StartBroker},
			)
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.After, b.After) })
	return steps
}

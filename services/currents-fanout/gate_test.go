package currentsfanout

import (
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// state as the tests see it.
func (g *gate) is() state { s, _, _ := g.look(); return s }

func TestTheBreakerOpensAfterSeveralFailuresAndOneBatchTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		for i := range breakAfter {
			p, _, ok := g.enter(time.Now())
			if !ok || p.probe {
				t.Fatalf("batch %d does not pass as one of many", i)
			}
			g.fail(p, time.Now(), 0, "")
		}
		if g.is() != broken {
			t.Fatalf("after %d failures it is %s", breakAfter, g.is())
		}
		_, until, ok := g.enter(time.Now())
		if !ok {
			<-time.After(time.Until(until))
		}
		p, _, ok := g.enter(time.Now())
		if !ok || !p.probe {
			t.Fatal("nobody tries")
		}
		if _, until, ok := g.enter(time.Now()); ok || !until.IsZero() {
			t.Error("a second one tries beside it")
		}
		g.fail(pass{}, time.Now(), 0, "") // one that was under way before
		if _, _, ok := g.enter(time.Now()); ok {
			t.Error("the answer to another batch has ended the try")
		}
		if was := g.succeed(); was != broken || g.is() != running {
			t.Errorf("was %s, is %s", was, g.is())
		}
		if p, _, ok := g.enter(time.Now()); !ok || p.probe {
			t.Error("it is not open to all")
		}
	})
}

func TestAFarEndThatWantsToBeLeftAloneIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		began := time.Now()
		g.fail(pass{}, began, 20*time.Second, "")
		g.succeed() // one that was under way
		if _, until, ok := g.enter(time.Now()); ok || until.Sub(began) != 20*time.Second {
			t.Errorf("passes: %v, until %v", ok, until.Sub(began))
		}
		g.fail(pass{}, began, 100*time.Hour, "") // nonsense in a header
		if _, until, _ := g.enter(time.Now()); until.Sub(began) > time.Hour {
			t.Errorf("it is left alone for %v", until.Sub(began))
		}
	})
}

func TestAHaltedSinkIsAskedGentlyForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		began := time.Now()
		asks := 0
		for time.Since(began) < 10*time.Hour {
			p, until, ok := g.enter(time.Now())
			if !ok {
				<-time.After(time.Until(until))
				continue
			}
			asks++
			g.fail(p, time.Now(), 0, "401: who are you")
		}
		if s, words, since := g.look(); s != halted || words != "401: who are you" || !since.Equal(began) {
			t.Errorf("it is %s for %q since %v", s, words, since)
		}
		if asks < 500 || asks > 2000 {
			t.Errorf("asked %d times in ten hours", asks)
		}
	})
}

func TestNoticeOfTheFailureBudgetIsGivenOnceALevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		var noticed []int
		g.fail(pass{}, time.Now(), 0, "")
		for range 100 {
			<-time.After(time.Hour)
			if _, level := g.spent(time.Now(), 72*time.Hour); level > 0 {
				noticed = append(noticed, level)
			}
		}
		if len(noticed) != 4 || noticed[0] != 50 || noticed[3] != 100 {
			t.Errorf("noticed %v", noticed)
		}
		g.succeed()
		if fraction, _ := g.spent(time.Now(), 72*time.Hour); fraction != 0 {
			t.Errorf("%v is used up of a sink that works", fraction)
		}
		g.fail(pass{}, time.Now(), 0, "")
		<-time.After(72 * time.Hour)
		if _, level := g.spent(time.Now(), 72*time.Hour); level != 100 {
			t.Errorf("after a night without a look the level is %d", level)
		}
	})
}

// TestAFarEndThatFailsHalfOfTheTimeIsHardlyKeptWaiting: the breaker opens for five failures in a row, which come often there.
func TestAFarEndThatFailsHalfOfTheTimeIsHardlyKeptWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 1))
		var g gate
		began := time.Now()
		for taken := 0; taken < 5_000; {
			p, until, ok := g.enter(time.Now())
			if !ok {
				<-time.After(time.Until(until))
				continue
			}
			if rng.IntN(2) == 0 {
				g.fail(p, time.Now(), 0, "")
				continue
			}
			taken++
			g.succeed()
		}
		if took := time.Since(began); took > 2*time.Minute {
			t.Errorf("5,000 batches were kept waiting for %v", took)
		}
	})
}

// TestAFarEndThatIsDownIsLeftAloneTheMoreTheLongerItIs: a minute at most.
func TestAFarEndThatIsDownIsLeftAloneTheMoreTheLongerItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		began := time.Now()
		early, late := 0, 0
		last := began
		for time.Since(began) < 10*time.Hour {
			p, until, ok := g.enter(time.Now())
			if !ok {
				<-time.After(time.Until(until))
				continue
			}
			if since := time.Since(last); since > time.Minute {
				t.Fatalf("it is not asked for %v", since)
			}
			last = time.Now()
			if time.Since(began) < time.Minute {
				early++
			} else {
				late++
			}
			g.fail(p, time.Now(), 0, "")
		}
		if early < 5 || early > 60 || late < 600 || late > 2_000 {
			t.Errorf("asked %d times in the first minute, and %d times in the ten hours after", early, late)
		}
	})
}

// TestAFarEndThatComesUpGetsBatchesThatGrow: one event, then more with each batch that is taken.
func TestAFarEndThatComesUpGetsBatchesThatGrow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g gate
		for range breakAfter {
			g.fail(pass{}, time.Now(), 0, "")
		}
		var got []int
		for range 16 {
			p, until, ok := g.enter(time.Now())
			if !ok {
				<-time.After(time.Until(until))
				p, _, _ = g.enter(time.Now())
			}
			got = append(got, p.most)
			if len(got) < 3 {
				g.fail(p, time.Now(), 0, "")
			} else {
				g.succeed()
			}
		}
		want := []int{10, 1, 1, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 0, 0, 0, 0}
		if !slices.Equal(got, want) {
			t.Errorf("batches of at most %v events, want %v", got, want)
		}
	})
}

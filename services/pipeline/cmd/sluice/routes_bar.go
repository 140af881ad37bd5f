package main

import (
	"fmt"
	"strings"
	"time"
)

// bar shows how far the reading of a file has come: to a person, and to nobody else.
type bar struct {
	app   *app
	size  int64 // of the file in bytes; 0 where it is not known
	began time.Time
	shown time.Time
	drawn bool
}

// newBar is nil where nobody reads along.
func (a *app) newBar(size int64) *bar {
	if !onTerminal(a.stderr) {
		return nil
	}
	now := time.Now()
	return &bar{app: a, size: size, began: now, shown: now}
}

// tell draws the bar anew, though not more often than an eye can follow.
func (b *bar) tell(read int64, records int) {
	if b == nil || records%256 != 0 {
		return
	}
	now := time.Now()
	if now.Sub(b.shown) < meterEvery {
		return
	}
	b.shown, b.drawn = now, true
	_, _ = fmt.Fprintf(b.app.stderr, "\r\x1b[K%s", barLine(read, b.size, records, now.Sub(b.began)))
}

func (b *bar) clear() {
	if b != nil && b.drawn {
		_, _ = fmt.Fprint(b.app.stderr, "\r\x1b[K")
	}
}

// barLine is one drawing: "[#####---------------]  25 %  25,000 records, 98,000 a second, 1 s left".
func barLine(read, size int64, records int, took time.Duration) string {
	rate := float64(records) / max(took.Seconds(), 0.001)
	counts := fmt.Sprintf("%s, %s a second", counted(records, "record"), thousands(int(rate)))
	if size <= 0 {
		return counts
	}
	const width = 20
	done := min(float64(read)/float64(size), 1)
	full := int(done * width)
	left := took.Seconds() / max(done, 0.001) * (1 - done)
	return fmt.Sprintf("[%s%s] %3.0f %%  %s, %.0f s left", strings.Repeat("#", full), strings.Repeat("-", width-full), done*100, counts, left)
}

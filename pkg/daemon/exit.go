package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/config"
)

// The exit codes beside [config.ExitCode].
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

// repeat is how long after the first signal another is taken for its echo.
const repeat = 500 * time.Millisecond

// UntilSignal returns a context that ends with the first SIGINT or SIGTERM. The second is not waited
// for: whoever sends it has lost patience, and the process exits with 1. Both are told through say.
//
// What comes within half a second of the first is its echo and not impatience: a terminal, make and
// timeout each may pass one on.
func UntilSignal(ctx context.Context, say func(level zerolog.Level, message string)) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		say(zerolog.InfoLevel, "stopping: "+(<-signals).String())
		cancel()
		first := time.Now()
		second := <-signals
		for time.Since(first) < repeat {
			second = <-signals
		}
		say(zerolog.ErrorLevel, "leaving at once, with work unfinished: second signal, "+second.String())
		os.Exit(exitFailure)
	}()
	return ctx
}

// ExitCode is what a process that ends with err exits with: 0 without one, 78 when the configuration is
// at fault, 1 otherwise.
func ExitCode(err error) int {
	var problem config.Problem
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &problem):
		return config.ExitCode
	}
	return exitFailure
}

// explain tells whoever started the process why it ends, and returns the code to exit with.
func (c *command) explain(err error) int {
	var usage usageError
	switch code := ExitCode(err); {
	case code == exitOK, errors.Is(err, errHelped):
		return exitOK
	case errors.As(err, &usage):
		_, _ = fmt.Fprintf(c.stderr, "%s: %s\nTry %s -h.\n", c.name, usage, c.name)
		return exitUsage
	case code == config.ExitCode:
		_, _ = fmt.Fprintf(c.stderr, "%s: the configuration is not in order:\n%s", c.name, indented(err.Error()))
		return code
	default:
		c.say(zerolog.ErrorLevel, err.Error())
		return code
	}
}

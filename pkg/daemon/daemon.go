// Package daemon is what every process does: read its configuration, log, count, say whether it is
// well, stop in good order, and exit with a code that means something.
//
// A service's main is one line, so there is nothing in it to drift:
//
//	func main() { daemon.Main("braze-sender", brazesender.Open) }
//
// [Main] loads the service's configuration, opens a [Process] (logger, metrics, health and the
// operators' HTTP server, which answers from then on), calls open, and gives what it returns to [Run].
// On SIGINT or SIGTERM the context of [Service].Run ends, /readyz turns to 503, and the service has the
// drain timeout to finish what it holds; a second signal, or the timeout, ends the process at once.
// A panic is left to crash the process: what has lost its footing must not go on settling records.
//
// Several services in one process share one Process: each is opened with [Process.Named], and a
// [Group] of them is itself a Service, in which the first to stop stops all.
//
// Exit codes: 0 finished or drained, 1 failed, 2 wrong usage, 78 wrong configuration.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/config"
)

// Service is something that works until it is done or told to stop.
type Service interface {
	// Run works until ctx ends, then finishes what it holds and returns nil; or until its work is
	// done, and returns nil; or until it cannot go on, and says why.
	Run(ctx context.Context) error
}

// Holder is a Service that knows what it still holds. It is asked when draining has taken too long.
type Holder interface {
	// Held says in words what would be lost sight of now, such as "312 records of customer.events";
	// empty for nothing. It is called while Run runs.
	Held() string
}

// Main runs the service called name as this process, and exits.
func Main[C Configured](name string, open func(context.Context, C, *Process) (Service, error)) {
	c := &command{name: name, args: os.Args[1:], environ: os.Environ(), stdout: os.Stdout, stderr: os.Stderr}
	SpendMemory()
	ctx := UntilSignal(context.Background(), c.say)
	os.Exit(c.explain(realMain(ctx, c, open)))
}

// SpendMemory lets the garbage collector wait until twice as much is garbage as lives, unless GOGC says
// otherwise. What lives in a service is bounded by its windows, and a tenth of its CPU is worth the same
// again in memory.
func SpendMemory() {
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(200)
	}
}

// command is one call of a service's binary.
type command struct {
	name           string
	args, environ  []string
	stdout, stderr io.Writer
	log            atomic.Pointer[zerolog.Logger] // nil until the configuration says how to log
}

func realMain[C Configured](ctx context.Context, c *command, open func(context.Context, C, *Process) (Service, error)) error {
	f, err := c.parse(config.Fields[C]())
	if err != nil {
		return err
	}
	if f.version {
		_, err := fmt.Fprintln(c.stdout, c.name, ReadBuild())
		return err
	}
	cfg, report, err := config.Load[C](config.Options{File: f.config, Environ: c.environ, KnownSections: Sections})
	if f.print != "" {
		if err := c.print(report, f.print); err != nil {
			return err
		}
	}
	if err != nil || f.print != "" {
		return err
	}
	if f.check {
		_, err := fmt.Fprintln(c.stdout, "the configuration is in order")
		return err
	}

	p, err := NewProcess(ctx, c.name, cfg.DaemonConfig(), c.stderr)
	if err != nil {
		return err
	}
	defer p.Close()
	c.log.Store(&p.Log)
	service, err := open(p.Log.WithContext(ctx), cfg, p)
	switch {
	case err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()):
		return nil // told to stop before there was anything to drain
	case err != nil:
		return fmt.Errorf("opening %s: %w", c.name, err)
	}
	return Run(ctx, p, service)
}

// say logs, or writes plainly where it is not known yet how to log.
func (c *command) say(level zerolog.Level, message string) {
	if log := c.log.Load(); log != nil {
		log.WithLevel(level).Msg(message)
		return
	}
	_, _ = fmt.Fprintf(c.stderr, "%s: %s\n", c.name, message)
}

package kafkatest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// logLines is how much of a log an error carries.
const logLines = 100

// processConfig says what startProcess starts.
type processConfig struct {
	Path string
	Args []string
	Dir  string // working folder, where a JVM also leaves its crash reports
	Log  string // file to which both outputs are appended
	Keep bool   // outlive this process
}

// process is a child in a process group of its own, so that Ctrl-C in a terminal reaches the test and not the
// broker. Unless kept it dies with this process.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when the process is gone
	err  error         // how it ended; read after done
}

func startProcess(cfg processConfig) (*process, error) {
	log, err := os.OpenFile(cfg.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close() // the child has its own copy

	cmd := exec.Command(cfg.Path, cfg.Args...) //nolint:noctx // lives until it is killed, not as long as the context of its start
	cmd.Dir = cfg.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !cfg.Keep {
		dieWithParent(cmd.SysProcAttr)
	}

	p := &process{cmd: cmd, log: cfg.Log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Linux sends the parent-death signal when the parent's *thread* ends. Held here until the child is
		// gone, that thread ends early only with the whole process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// signal is no error where the process has ended meanwhile.
func (p *process) signal(sig os.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// kill returns when the process is gone.
func (p *process) kill() error {
	if err := p.signal(os.Kill); err != nil {
		return err
	}
	<-p.done
	return nil
}

// freeze returns when every thread has stopped. The signal alone does not say so: on busy cores the threads of a JVM
// went on answering for longer than a test waited for the silence.
func (p *process) freeze() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return poll(ctx, time.Millisecond, func(context.Context) error {
		if p.exited() {
			return hopelessError{errNotRunning}
		}
		return standsStill(p.pid())
	})
}

// stop asks the process to end and kills it where it has not after limit.
func (p *process) stop(limit time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-p.done:
		return nil
	case <-late.C:
		return errors.Join(fmt.Errorf("still running after %v, killed; its log ends:\n%s", limit, tail(p.log, logLines)), p.kill())
	}
}

// tail is the end of a log file, or the reason why it cannot be read.
func tail(path string, lines int) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return lastLines(string(b), lines)
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

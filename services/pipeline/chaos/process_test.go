package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build compiles a service as it is shipped, or with tags that break it, and returns the binary.
func build(t testing.TB, service string, tags ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), service)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-tags", strings.Join(tags, ","), "-o", out, //nolint:gosec // our own names
		"github.com/sluicehq/sluice/services/"+service+"/cmd/"+service)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building %s %v: %v\n%s", service, tags, err, text)
	}
	return out
}

// child is one start of a service: a process in a group of its own, which dies with the test.
type child struct {
	name string // no two starts share one
	role string
	ops  string // address
	log  string // file of both outputs
	cmd  *exec.Cmd
	born time.Time
	done chan struct{} // closed when it is gone
	err  error         // how it ended; read after done

	asked bool // to end; guarded by its post
}

func startChild(role, name, bin, logs string, env []string) (*child, error) {
	ops, err := freeAddr()
	if err != nil {
		return nil, err
	}
	c := &child{name: name, role: role, ops: ops, log: filepath.Join(logs, name+".log"), born: time.Now(), done: make(chan struct{})}
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()         // the child has its own copy
	c.cmd = exec.Command(bin) // it lives until it is told to go
	c.cmd.Env = append(env, "OPS_ADDR="+ops, "LOG_FORMAT=json", "HOME="+os.Getenv("HOME"))
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	dieWithParent(c.cmd.SysProcAttr)
	started := make(chan error, 1)
	go func() {
		// The signal at the parent's death is sent when its thread ends: this one stays until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
			close(c.done)
		}
	}()
	return c, <-started
}

// signal is no error where the process has ended meanwhile.
func (c *child) signal(s os.Signal) error {
	if err := c.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("sending %v to %s: %w", s, c.name, err)
	}
	return nil
}

// gone waits for the end.
func (c *child) gone(ctx context.Context) error {
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// ready waits until the process says that it is.
func (c *child) ready(ctx context.Context) error {
	ctx, cancel := within(ctx, 2*time.Minute, c.name+" is not ready")
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-c.done:
			stop(fmt.Errorf("%s ended", c.name))
		case <-ctx.Done():
		}
	}()
	err := until(ctx, 20*time.Millisecond, func() bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+c.ops+"/readyz", nil)
		if err != nil {
			return false
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	if err != nil {
		return fmt.Errorf("%w; its log ends:\n%s", err, c.lastWords())
	}
	return nil
}

// lastWords is the end of what the process wrote.
func (c *child) lastWords() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// freeAddr finds a port that nobody listens on. It is from below the range that systems hand out by
// themselves, or a connection could sit on it while the process that is to have it is down.
func freeAddr() (string, error) {
	var last error
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(15_000+rand.IntN(5_000)))
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return addr, l.Close()
		}
		last = err
	}
	return "", fmt.Errorf("finding a free port: %w", last)
}

package daemon

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
)

// childService names, in the environment, the service that this test binary is to be instead.
const childService = "SLUICE_DAEMON_TEST_SERVICE"

// childConfig is a service's configuration as services write it.
type childConfig struct {
	Config `yaml:",inline"`
	Sender struct {
		Size int           `yaml:"size" env:"CHILD_SIZE" default:"10" min:"1" max:"75" doc:"how many at once"`
		Key  config.Secret `yaml:"key" env:"CHILD_KEY" required:"true" doc:"what it shows"`
	} `yaml:"sender"`
}

// runFunc makes a Service of a function.
type runFunc func(context.Context) error

func (f runFunc) Run(ctx context.Context) error { return f(ctx) }

// stuck never finishes, and knows what it holds.
type stuck struct{}

func (stuck) Run(context.Context) error { select {} }
func (stuck) Held() string              { return "312 records of customer.events" }

// services are what a child process can be.
var services = map[string]func(context.Context, childConfig, *Process) (Service, error){
	"drains": func(_ context.Context, _ childConfig, p *Process) (Service, error) {
		return runFunc(func(ctx context.Context) error {
			<-ctx.Done()
			p.Log.Info().Msg("finished what was held")
			return ctx.Err()
		}), nil
	},
	"stuck": func(context.Context, childConfig, *Process) (Service, error) { return stuck{}, nil },
	"done": func(context.Context, childConfig, *Process) (Service, error) {
		return runFunc(func(context.Context) error { return nil }), nil
	},
	"fails": func(context.Context, childConfig, *Process) (Service, error) {
		return runFunc(func(context.Context) error { return errors.New("the log is away") }), nil
	},
	"panics": func(context.Context, childConfig, *Process) (Service, error) {
		return runFunc(func(context.Context) error { panic("lost its footing") }), nil
	},
	"cannot open": func(context.Context, childConfig, *Process) (Service, error) {
		return nil, errors.New("no broker answers")
	},
	"waits to open": func(ctx context.Context, _ childConfig, p *Process) (Service, error) {
		p.Log.Info().Msg("waiting to open")
		<-ctx.Done()
		return nil, ctx.Err()
	},
	"finds its configuration wanting": func(context.Context, childConfig, *Process) (Service, error) {
		return nil, config.Problem{Field: "sender.size", Value: 10, Allowed: "what the broker can take"}
	},
}

func TestMain(m *testing.M) {
	if open, ok := services[os.Getenv(childService)]; ok {
		Main("child", open)
	}
	os.Exit(m.Run())
}

// child is a real process that runs a service.
type child struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout strings.Builder
	lines  *bufio.Scanner
	said   strings.Builder // what it has said on stderr so far
}

func startChild(t *testing.T, service string, args []string, env ...string) *child {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // a child that hangs is killed, and fails the test
	t.Cleanup(cancel)
	c := &child{t: t, cmd: exec.CommandContext(ctx, os.Args[0], args...)} //nolint:gosec // this very test
	c.cmd.Env = append([]string{childService + "=" + service, "OPS_ADDR=127.0.0.1:0", "CHILD_KEY=hunter2-hunter2"}, env...)
	c.cmd.Stdout = &c.stdout
	stderr, err := c.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	c.lines = bufio.NewScanner(stderr)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return c
}

// until reads what the child says up to a line with the text, and returns that line.
func (c *child) until(text string) string {
	c.t.Helper()
	for c.lines.Scan() {
		c.said.WriteString(c.lines.Text() + "\n")
		if strings.Contains(c.lines.Text(), text) {
			return c.lines.Text()
		}
	}
	c.t.Fatalf("it never said %q, but:\n%s", text, c.said.String())
	return ""
}

// exit waits for the end, and returns the exit code.
func (c *child) exit() int {
	c.t.Helper()
	for c.lines.Scan() {
		c.said.WriteString(c.lines.Text() + "\n")
	}
	var failed *exec.ExitError
	if err := c.cmd.Wait(); err != nil && !errors.As(err, &failed) {
		c.t.Fatal(err)
	}
	return c.cmd.ProcessState.ExitCode()
}

func (c *child) signal(s os.Signal) {
	c.t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.t.Fatal(err)
	}
}

func TestASignalDrainsAndExitsZero(t *testing.T) {
	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt} {
		t.Run(signal.String(), func(t *testing.T) {
			c := startChild(t, "drains", nil)
			var line struct {
				OpsAddr string `json:"ops_addr"`
			}
			if err := json.Unmarshal([]byte(c.until("ops_addr")), &line); err != nil {
				t.Fatal(err)
			}
			c.until(`"started"`)
			if code, body := get(t, "http://"+line.OpsAddr+"/readyz"); code != http.StatusOK {
				t.Errorf("/readyz answers %d %s", code, body)
			}
			c.signal(signal)
			c.until("finished what was held")
			if code := c.exit(); code != 0 {
				t.Errorf("it exits %d:\n%s", code, c.said.String())
			}
		})
	}
}

func TestASecondSignalExitsOneAtOnce(t *testing.T) {
	c := startChild(t, "stuck", nil)
	c.until(`"started"`)
	c.signal(syscall.SIGTERM)
	c.until(`"draining"`)
	c.signal(syscall.SIGTERM)            // an echo of the first
	<-time.After(600 * time.Millisecond) // beyond which it is none any more
	c.signal(syscall.SIGTERM)
	c.until("second signal")
	if code := c.exit(); code != 1 {
		t.Errorf("it exits %d", code)
	}
}

func TestDrainingTooLongExitsOneAndSaysWhatWasHeld(t *testing.T) {
	c := startChild(t, "stuck", nil, "DRAIN_TIMEOUT=10ms")
	c.until(`"started"`)
	c.signal(syscall.SIGTERM)
	c.until("draining took longer than 10ms; still held: 312 records of customer.events")
	if code := c.exit(); code != 1 {
		t.Errorf("it exits %d", code)
	}
}

func TestASignalWhileOpeningExitsZero(t *testing.T) {
	c := startChild(t, "waits to open", nil)
	c.until("waiting to open")
	c.signal(syscall.SIGTERM)
	if code := c.exit(); code != 0 {
		t.Errorf("it exits %d:\n%s", code, c.said.String())
	}
}

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		name, service string
		args          []string
		env           []string
		code          int
		says          string
	}{
		{name: "0 when the work is done", service: "done", says: "stopped"},
		{name: "1 when the service fails", service: "fails", code: 1, says: "running child: the log is away"},
		{name: "1 when it cannot be opened", service: "cannot open", code: 1, says: "opening child: no broker answers"},
		{name: "2 with a trace when it panics", service: "panics", code: 2, says: "panic: lost its footing"},
		{name: "2 for an unknown flag", service: "done", args: []string{"--fast"}, code: 2, says: "flag provided but not defined: -fast"},
		{name: "2 for an argument", service: "done", args: []string{"now"}, code: 2, says: `unexpected argument "now"`},
		{
			name: "1 when operators cannot be answered", service: "done", env: []string{"OPS_ADDR=127.0.0.1:no-port"}, code: 1,
			says: "listening for operators (OPS_ADDR)",
		},
		{
			name: "78 when open objects to the configuration", service: "finds its configuration wanting", code: 78,
			says: "sender.size: 10; allowed: what the broker can take",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := startChild(t, tc.service, tc.args, tc.env...)
			if code := c.exit(); code != tc.code {
				t.Errorf("it exits %d, want %d", code, tc.code)
			}
			if !strings.Contains(c.said.String(), tc.says) {
				t.Errorf("it does not say %q but\n%s", tc.says, c.said.String())
			}
		})
	}
}

func TestABadConfigurationExits78WithEveryProblem(t *testing.T) {
	for _, args := range [][]string{nil, {"--check-config"}, {"--print-config"}} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			c := startChild(t, "drains", args, "CHILD_KEY=", "CHILD_SIZE=76", "LOG_LEVEL=loud", "DRAIN_TIMEOUT=soon")
			if code := c.exit(); code != config.ExitCode {
				t.Errorf("it exits %d", code)
			}
			want := `child: the configuration is not in order:
  drain_timeout (DRAIN_TIMEOUT): "soon"; allowed: a duration such as 200ms or 1m30s, at least 0s
  log.level (LOG_LEVEL): "loud"; allowed: one of trace, debug, info, warn, error
  sender.size (CHILD_SIZE): 76; allowed: a whole number from 1 to 75
  sender.key (CHILD_KEY): required; set sender.key, sender.key_file, CHILD_KEY or CHILD_KEY_FILE
`
			if diff := cmp.Diff(want, c.said.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func get(t *testing.T, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

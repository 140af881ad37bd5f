package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/kafkatest"
)

// actAsWithkafka makes this test binary behave as the command, so that the tests see it as a shell does.
const actAsWithkafka = "WITHKAFKA_TEST_ACTS_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(actAsWithkafka) == "1" {
		main()
	}
	os.Exit(m.Run())
}

// These need no broker: one is said to be given.
func TestExitsAsTheCommandDoes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		args []string
		want int
	}{
		{"success", []string{"--", "true"}, 0},
		{"a code of its own", []string{"--", "sh", "-c", "exit 3"}, 3},
		{"death by a signal is 128 and the signal", []string{"--", "sh", "-c", "kill -9 $$"}, 128 + 9},
		{"no such command is 127", []string{"--", "no-such-command"}, 127},
		{"what cannot be run is 126", []string{"--", "/"}, 126},
		{"the command sees what was given", []string{"--", "sh", "-c", `test "$TEST_KAFKA_BROKERS" = given:1`}, 0},
		{"the command's own flags are left to it", []string{"sh", "-c", "exit 4"}, 4},
		{"no command is a mistake in usage", nil, 2},
		{"an unknown flag likewise", []string{"-brokers", "1", "--", "true"}, 2},
		{"help is no mistake", []string{"-h"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			cmd, said := withkafka(t, tc.args...)
			cmd.Env = append(cmd.Env, kafkatest.EnvBrokers+"=given:1")
			_ = cmd.Run()
			if got := cmd.ProcessState.ExitCode(); got != tc.want {
				t.Errorf("exit code %d, want %d; it said:\n%s", got, tc.want, said)
			}
		})
	}
}

func TestHelpShowsAnExample(t *testing.T) {
	t.Parallel()
	cmd, said := withkafka(t, "-h")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said.String(), "example:\n  withkafka -registry -- go test -race ./...") {
		t.Error(said.String())
	}
}

// An empty cache and a PATH without Maven are a machine that cannot have a broker.
func TestWithoutAKafka(t *testing.T) {
	t.Parallel()
	const loud = "kafka: EMBEDDED ONLY (no broker given, fetching the jars of kafka 0.0.1: no Maven, and not cached)\n"
	const refusal = "withkafka: the real thing is required here (CI=true or -require), the command was not run\n"
	for _, tc := range []struct {
		name string
		args []string
		ci   string
		want string
		code int
	}{
		{"the command runs all the same, between loud lines", nil, "", loud + "the command ran\n" + loud, 5},
		{"with -require it does not run", []string{"-require"}, "", loud + refusal, 1},
		{"in CI likewise", nil, "true", loud + refusal, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := t.TempDir()
			fakeJava(t, filepath.Join(path, "java-17"))
			cmd, said := withkafka(t, append(tc.args, "--", "/bin/sh", "-c", "echo the command ran; exit 5")...)
			cmd.Stdout = said // in the order in which a terminal shows it
			cmd.Env = append(cmd.Env, "PATH="+path, "JAVA_HOME="+filepath.Join(path, "java-17"), "XDG_CACHE_HOME="+path, "HOME="+path, "CI="+tc.ci, kafkatest.EnvVersion+"=0.0.1")
			_ = cmd.Run()
			if diff := cmp.Diff(tc.want, said.String()); diff != "" {
				t.Errorf("it said (-want +got):\n%s", diff)
			}
			if got := cmd.ProcessState.ExitCode(); got != tc.code {
				t.Errorf("exit code %d, want %d", got, tc.code)
			}
		})
	}
}

var (
	startedLine  = regexp.MustCompile(`(?m)^kafka: real [0-9.]+, 1 node, started in [0-9.]+ s, jars cached$`)
	registryLine = regexp.MustCompile(`(?m)^registry: real Apicurio [0-9.]+, started in [0-9.]+ s$`)
	stopLine     = regexp.MustCompile(`(?m)^kafka: kept at \S+; to stop it: (.+)$`)
)

// Each of these starts a broker, and looks whether it is gone.
func TestTakesTheBrokerDown(t *testing.T) {
	t.Parallel()
	t.Run("when the command has ended", func(t *testing.T) {
		dir := t.TempDir()
		cmd, said := withkafka(t, "-require", "-registry", "--", "sh", "-c", `echo "$TEST_KAFKA_BROKERS $TEST_SCHEMA_REGISTRY_URL"`)
		cmd.Env = append(cmd.Env, "TMPDIR="+dir)
		out, err := cmd.Output()
		skipIfLacking(t, said.String())
		if err != nil {
			t.Fatalf("%v: %s", err, said)
		}
		if !startedLine.MatchString(said.String()) || !registryLine.MatchString(said.String()) {
			t.Errorf("it said:\n%s", said)
		}
		broker, registry, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		wantDown(t, broker)
		if !regexp.MustCompile(`^http://127\.0\.0\.1:\d+/apis/ccompat/v7$`).MatchString(registry) {
			t.Errorf("registry %q", registry)
		}
		wantEmpty(t, dir)
	})
	t.Run("on SIGTERM, with the command", func(t *testing.T) {
		dir := t.TempDir()
		cmd, _, broker := running(t, dir)
		send(t, cmd.Process, syscall.SIGTERM)
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 128+15 {
			t.Errorf("exit code %d", got)
		}
		wantDown(t, broker)
		wantEmpty(t, dir)
	})
	t.Run("by the kernel, when it is itself killed", func(t *testing.T) {
		if _, err := os.Stat("/proc/self"); err != nil {
			t.Skip("NOT RUN: only Linux tells a child of its parent's death")
		}
		cmd, _, broker := running(t, t.TempDir())
		send(t, cmd.Process, syscall.SIGKILL)
		_ = cmd.Wait()
		wantDown(t, broker)
	})
	t.Run("not with TEST_KAFKA_KEEP=1, where it says how to", func(t *testing.T) {
		dir := t.TempDir()
		cmd, said, broker := running(t, dir, envKeep+"=1")
		send(t, cmd.Process, syscall.SIGTERM)
		_ = cmd.Wait()
		stop := stopLine.FindStringSubmatch(said.String())
		if stop == nil {
			t.Fatalf("it said:\n%s", said)
		}
		if err := dial(t, broker); err != nil {
			t.Errorf("it is gone: %v", err)
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", stop[1]).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", stop[1], err, out)
		}
		wantDown(t, broker)
		wantEmpty(t, dir)
	})
}

// running is a withkafka whose command prints the broker's address and then waits to be ended.
func running(t *testing.T, dir string, env ...string) (cmd *exec.Cmd, said *bytes.Buffer, broker string) {
	t.Helper()
	cmd, said = withkafka(t, "-require", "--", "sh", "-c", `echo "$TEST_KAFKA_BROKERS"; exec sleep 600`)
	cmd.Env = append(append(cmd.Env, "TMPDIR="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	broker, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = cmd.Wait()
		skipIfLacking(t, said.String())
		t.Fatalf("it did not come up: %v\n%s", err, said)
	}
	return cmd, said, strings.TrimSpace(broker)
}

// withkafka is the command, not started, in an environment without what the run of this test may have been given. What
// it says on standard error is in said.
func withkafka(t *testing.T, args ...string) (cmd *exec.Cmd, said *bytes.Buffer) {
	t.Helper()
	cmd = exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), actAsWithkafka+"=1", "CI=", envKeep+"=", kafkatest.EnvBrokers+"=", kafkatest.EnvRegistryURL+"=")
	said = new(bytes.Buffer)
	cmd.Stderr = said
	cmd.WaitDelay = 10 * time.Second // should something be left that holds its outputs
	return cmd, said
}

// skipIfLacking ends a test on a machine that can have no broker, loudly. In CI it goes on, and fails, as it does
// everywhere where a broker can be had and does not start.
func skipIfLacking(t *testing.T, said string) {
	t.Helper()
	if strings.Contains(said, "EMBEDDED ONLY") && !strings.Contains(said, "starting ") && os.Getenv("CI") != "true" {
		t.Skip("NOT RUN, NEEDS A REAL KAFKA: ", said)
	}
}

func send(t *testing.T, p *os.Process, sig os.Signal) {
	t.Helper()
	if err := p.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func dial(t *testing.T, broker string) error {
	t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(t.Context(), "tcp", broker)
	if err != nil {
		return err
	}
	return conn.Close()
}

// wantDown waits for the address to refuse connections.
func wantDown(t *testing.T, broker string) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(5 * time.Second)
	defer late.Stop()
	for {
		if err := dial(t, broker); err != nil {
			return
		}
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("%s still listens", broker)
		}
	}
}

func wantEmpty(t *testing.T, dir string) {
	t.Helper()
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// fakeJava lays out as much of a Java as is looked at before it is needed.
func fakeJava(t *testing.T, home string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"bin/java": "", "release": fmt.Sprintln(`JAVA_VERSION="17.0.1"`)} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

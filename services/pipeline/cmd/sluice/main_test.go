package main

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
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline"
)

// beSluice, in the environment, makes this test binary the command itself.
const beSluice = "SLUICE_TEST_BE_SLUICE"

func TestMain(m *testing.M) {
	if os.Getenv(beSluice) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"sluice": main})
}

// Each script in testdata/script runs the command beside a pipeline of its own, whose places are in
// the script's environment. What stands behind "exits" is run, and must end with the code given.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join("testdata", "script"),
		UpdateScripts:       os.Getenv("GOLDEN") == "write",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               besidePipeline,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "settled": settled, "portable": portable, "knobs": knobs,
			"collected": collected, "currentsfile": currentsFile,
		},
	})
}

// besidePipeline starts a pipeline for a script, and tells the script where it is.
func besidePipeline(env *testscript.Env) error {
	l, err := startPipeline(env.Defer, func(err error) { env.T().Log("the pipeline beside the script: " + err.Error()) })
	if err != nil {
		return err
	}
	env.Values["pipeline"] = l
	env.Vars = append(env.Vars, whereIs(l)...)
	return nil
}

// startPipeline runs a pipeline until what is deferred is done.
func startPipeline(later func(func()), failed func(error)) (*pipeline.Pipeline, error) {
	cfg, _, err := pipeline.Load(config.Options{Environ: []string{
		"EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0", "SANDBOX_BRAZE_ADDR=:0", "SANDBOX_CRM_ADDR=:0", "INGEST_ADDR=:0", "CONTENT_ADDR=:0", "OPS_ADDR=:0",
		"LOG_LEVEL=error", "BRAZE_LINGER=20ms", "BRAZE_COMMIT_EVERY=10ms", "INGEST_DRAIN_PAUSE=10ms",
		"ATTRIBUTE_LINGER=50ms", "SANDBOX_CURRENTS=false", // what comes back would count among what scripts count
	}})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, err := daemon.NewProcess(ctx, "sluice", cfg.DaemonConfig(), os.Stderr)
	if err != nil {
		cancel()
		return nil, err
	}
	l, err := pipeline.Open(ctx, cfg, pipeline.Options{}, p)
	if err != nil {
		cancel()
		p.Close()
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- daemon.Run(ctx, p, l) }()
	later(func() {
		cancel()
		if err := <-ended; err != nil {
			failed(err)
		}
		p.Close()
	})
	return l, untilReady(p)
}

// untilReady waits until every service of a process is: content is read in the background, for one.
func untilReady(p *daemon.Process) error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		failing := p.Health.Failing(context.Background())
		if len(failing) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready within half a minute: %v", failing)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// whereIs is the environment of a command that is to find a pipeline.
func whereIs(l *pipeline.Pipeline) []string {
	places := l.Places()
	return []string{
		"EMBEDDED_KAFKA_ADDR=" + places.Kafka,
		"EMBEDDED_REGISTRY_ADDR=" + strings.TrimPrefix(places.Registry, "http://"),
		"SANDBOX_BRAZE_ADDR=" + strings.TrimPrefix(places.Sandbox, "http://"),
		"INGEST_ADDR=" + strings.TrimPrefix(places.Door, "http://"),
		"NO_COLOR=1",
	}
}

// exits CODE COMMAND… runs a command that must end with the code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s ended with %d, want %d", strings.Join(args[1:], " "), got, want)
	}
}

// settled N waits until N events and commerce events at least have been settled, and nobody holds anything:
// neither attribute-sync, nor the sender of what that has made, or of cases.
func settled(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	l := ts.Value("pipeline").(*pipeline.Pipeline)
	ts.Check(untilSettled(context.Background(), l, n))
}

// untilSettled is settled for any test.
func untilSettled(ctx context.Context, l *pipeline.Pipeline, n int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	kafka := stream.Config{Brokers: []string{l.Places().Kafka}}
	count := func(topics ...string) (records int, err error) {
		for _, topic := range topics {
			err = errors.Join(err, stream.Read(ctx, kafka, stream.Range{Topic: topic}, func(*stream.Record) error { records++; return nil }))
		}
		return records, err
	}
	for {
		concern, err := count(schema.CustomerProfiles, schema.CommerceEvents, schema.SupportCases)
		if err != nil {
			return err
		}
		law := l.Law()
		others, err := count(schema.BrazeAttributes, schema.SupportCases)
		if err != nil {
			return err
		}
		if law.Sync.Accepted >= concern && law.Accepted >= n+others && law.Held == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain for %d events, %d records beside them and %d for profiles: %v", n, others, concern, l.Law())
		}
	}
}

// knobs JSON turns the knobs of the script's Braze sandbox.
func knobs(ts *testscript.TestScript, _ bool, args []string) {
	sandbox := ts.Value("pipeline").(*pipeline.Pipeline).Sandbox()
	turned := sandbox.Knobs()
	ts.Check(json.Unmarshal([]byte(args[0]), &turned))
	ts.Check(sandbox.SetKnobs(turned))
}

// collected N waits until the sandbox's collector has got N events, doubles included.
func collected(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	sandbox := ts.Value("pipeline").(*pipeline.Pipeline).Sandbox()
	limit := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for got := sandbox.Collected(0); got.Events != n; got = sandbox.Collected(0) {
		select {
		case <-tick.C:
		case <-limit:
			ts.Fatalf("waited in vain for %d events: %+v", n, got)
		}
	}
}

// currentsFile FILE ID… writes an Avro file of clicks with these ids, as Braze puts one into object storage.
func currentsFile(ts *testscript.TestScript, _ bool, args []string) {
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o750))
	f, err := os.Create(name)
	ts.Check(err)
	w, err := goavro.NewOCFWriter(goavro.OCFConfig{W: f, Schema: `{"type":"record","name":"Click","namespace":"dataexport.S3.inner.users.messages.email",
		"fields":[{"name":"id","type":"string"},{"name":"user_id","type":"string"},{"name":"time","type":"int"}]}`})
	ts.Check(err)
	records := []any{}
	for _, id := range args[1:] {
		records = append(records, map[string]any{"id": id, "user_id": "b-1", "time": 1785315688})
	}
	ts.Check(w.Append(records))
	ts.Check(f.Close())
}

// What differs from run to run in an output, and what a script writes instead.
var passing = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+`), "ADDR"},
	{regexp.MustCompile(`probe-[0-9a-f-]{36}`), "PROBE"},
	{regexp.MustCompile(`request [A-Z0-9]+-[a-z0-9]+`), "request R"},
	{regexp.MustCompile(` *[0-9.]+ ms`), " N ms"},
	{regexp.MustCompile(`go1\.[0-9.]+`), "GO"},
	{regexp.MustCompile(`[0-9.]+ s,`), "N s,"},
}

// portable FILE OUT writes a file anew, less what differs from run to run.
func portable(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	for _, p := range passing {
		text = p.pattern.ReplaceAllString(text, p.instead)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// The printed curls are a promise: they are taken off the screen and executed as they stand.
func TestTheFirstCurlsWorkAsPrinted(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("this test needs %s: %v", tool, err)
		}
	}
	s := launch(t, "run", "--simulate")
	var curls []string
	for _, path := range []string{"/v1/events", "/v1/commerce", "/v1/profiles", "/v1/cases"} {
		curls = append(curls, s.until(regexp.MustCompile(`^ +(curl .*`+path+` .*)$`)))
	}
	at := s.until(regexp.MustCompile(`^ +(http://\S+/_sandbox/users/\S+)$`))
	click := s.until(regexp.MustCompile(`^ +(curl .*/v1/braze/currents .*)$`))
	collector := s.until(regexp.MustCompile(`^ +(http://\S+/_sandbox/collector)$`))
	s.until(regexp.MustCompile(`(first arrival)`))
	for _, curl := range curls {
		out, err := exec.CommandContext(t.Context(), "bash", "-c", curl).CombinedOutput() //nolint:gosec // that is the test
		if err != nil || !strings.Contains(string(out), `"status":"accepted"`) {
			t.Fatalf("%s\nprinted %s: %v", curl, out, err)
		}
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for body := ""; !containsAll(body, "Tried Sluice", "ecommerce.order_placed", `"tier"`, "promotions_suppressed_until"); body = get(t, at) {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("what was sent never arrived at %s: %s", at, body)
		}
	}
	for range 2 { // the second is a double, and comes to no sink
		if out, err := exec.CommandContext(t.Context(), "bash", "-c", click).CombinedOutput(); err != nil || !strings.HasPrefix(string(out), `{"accepted":1`) && !strings.Contains(string(out), `"duplicate":1`) { //nolint:gosec // that is the test
			t.Fatalf("%s\nprinted %s: %v", click, out, err)
		}
	}
	for body := ""; !containsAll(body, `"tried-1"`); body = get(t, collector+"?limit=1000") {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("what Braze reported never arrived at %s: %s", collector, body)
		}
	}
	if code := s.interrupt(); code != 0 {
		t.Errorf("after Ctrl-C it ended with %d, want 0", code)
	}
	last := s.said[len(s.said)-1]
	for _, line := range s.said {
		if strings.HasPrefix(line, "in ") {
			last = line
		}
	}
	if !strings.Contains(last, "held 0") {
		t.Errorf("its last count is %q, want nothing held", last)
	}
}

func containsAll(text string, parts ...string) bool {
	return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
}

func get(t *testing.T, url string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
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
	return string(body)
}

// sluice is the command as a process of its own.
type sluice struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Scanner
	said  []string
}

func launch(t *testing.T, args ...string) *sluice {
	t.Helper()
	s := &sluice{t: t, cmd: exec.CommandContext(t.Context(), os.Args[0], args...)} //nolint:gosec // this very test
	s.cmd.Env = []string{
		beSluice + "=1", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir(), "LOG_LEVEL=warn",
		"EMBEDDED_KAFKA_ADDR=:0", "EMBEDDED_REGISTRY_ADDR=:0", "SANDBOX_BRAZE_ADDR=:0", "SANDBOX_CRM_ADDR=:0", "INGEST_ADDR=:0", "CONTENT_ADDR=:0", "OPS_ADDR=:0", "SIMULATE_SEED=7",
	}
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.lines = bufio.NewScanner(stderr)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return s
}

// until reads on to a line that matches, and returns the match's first group.
func (s *sluice) until(pattern *regexp.Regexp) string {
	s.t.Helper()
	for s.lines.Scan() {
		s.said = append(s.said, s.lines.Text())
		if m := pattern.FindStringSubmatch(s.lines.Text()); m != nil {
			return m[1]
		}
	}
	s.t.Fatalf("it never said %s, but:\n%s", pattern, strings.Join(s.said, "\n"))
	return ""
}

// interrupt is Ctrl-C; it returns the exit code.
func (s *sluice) interrupt() int {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		s.t.Fatal(err)
	}
	for s.lines.Scan() {
		s.said = append(s.said, s.lines.Text())
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}

func TestTapFollowsWhatComes(t *testing.T) {
	t.Parallel()
	s := launch(t, "run")
	door := s.until(regexp.MustCompile(`^ +front door +(http://\S+)`))
	kafka := s.until(regexp.MustCompile(`^ +Kafka +(\S+) +embedded`))
	registry := s.until(regexp.MustCompile(`^ +registry +http://(\S+) +embedded`))
	environ := append(s.cmd.Env, "EMBEDDED_KAFKA_ADDR="+kafka, "EMBEDDED_REGISTRY_ADDR="+registry, "SLUICE_URL="+door, "SIMULATE_RATE=50")
	var shown strings.Builder
	ended := make(chan int, 1)
	go func() { ended <- run([]string{"tap", "customer.events", "-n", "3"}, environ, &shown, io.Discard) }()
	// It follows from whenever it is ready, so events keep coming until it has seen enough.
	crowd := exec.CommandContext(t.Context(), os.Args[0], "simulate", "--duration", "5m") //nolint:gosec // this very test
	crowd.Env = environ
	if err := crowd.Start(); err != nil {
		t.Fatal(err)
	}
	code := <-ended
	if err := crowd.Process.Signal(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if err := crowd.Wait(); err != nil {
		t.Errorf("customers who were sent home ended with %v", err)
	}
	if lines := strings.Count(shown.String(), "\n"); code != 0 || lines != 3 {
		t.Errorf("it ended with %d and %d lines, want 0 and 3:\n%s", code, lines, shown.String())
	}
	if code := s.interrupt(); code != 0 {
		t.Errorf("the pipeline ended with %d, want 0", code)
	}
}

func TestASecondRunSaysWhichVariableToSet(t *testing.T) {
	t.Parallel()
	first := launch(t, "run")
	kafka := first.until(regexp.MustCompile(`^ +Kafka +(127\.0\.0\.1:\d+) +embedded`))
	again := exec.CommandContext(t.Context(), os.Args[0], "run") //nolint:gosec // this very test
	again.Env = append(first.cmd.Env, "EMBEDDED_KAFKA_ADDR="+kafka)
	out, err := again.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "set EMBEDDED_KAFKA_ADDR to another address") {
		t.Errorf("it said %s and ended with %v", out, err)
	}
	if code := first.interrupt(); code != 0 {
		t.Errorf("the first ended with %d, want 0", code)
	}
}

func TestHelpNamesTheVariableBesideEachFlagThatHasOne(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	for _, args := range [][]string{{"simulate", "--help"}, {"run", "--help"}} {
		if code := run(args, nil, &out, io.Discard); code != 0 {
			t.Fatalf("%v ended with %d", args, code)
		}
	}
	for _, want := range []string{"SLUICE_CONFIG", "SIMULATE_SEED", "SIMULATE_RATE", "SIMULATE_CUSTOMERS", "EMBEDDED_KAFKA_ADDR", "SANDBOX_BRAZE_ADDR"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("help does not name %s", want)
		}
	}
	if usage, examples := strings.Index(out.String(), "Usage:"), strings.Index(out.String(), "Examples:"); examples < 0 || examples > usage {
		t.Error("examples do not come first")
	}
}

// Command withkafka runs a command, usually a test run, with a real Apache Kafka at its side.
//
// It starts the cluster once, tells the command where it is through TEST_KAFKA_BROKERS and
// TEST_SCHEMA_REGISTRY_URL, exits with the command's code, and takes everything down, also on Ctrl-C and SIGTERM.
// What it says goes to standard error, one line per thing, so the command's own output stays as it is.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/sluicehq/sluice/pkg/kafkatest"
)

// envKeep leaves brokers and folders behind for a look.
const envKeep = "TEST_KAFKA_KEEP"

const usage = `withkafka runs a command with a real Apache Kafka at its side.

  withkafka [-nodes 1|3] [-registry] [-require] -- command args...

The command finds the cluster in TEST_KAFKA_BROKERS and the registry in TEST_SCHEMA_REGISTRY_URL.
withkafka exits with the command's code.

flags:
  -nodes N     how many brokers to start, 1 or 3 (default 1)
  -registry    start a schema registry too
  -require     exit with 1 where there is no real Kafka; so it is with CI=true.
               Otherwise the command runs all the same, on embedded brokers only

environment:
  TEST_KAFKA_BROKERS        given: used as it is, and no broker is started
  TEST_SCHEMA_REGISTRY_URL  likewise for the registry
  TEST_KAFKA_VERSION        the Apache Kafka to start (default ` + kafkatest.DefaultVersion + `)
  TEST_KAFKA_KEEP=1         leave everything running at the end, and say how to stop it

example:
  withkafka -registry -- go test -race ./...
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, out io.Writer) int {
	flags := flag.NewFlagSet("withkafka", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() { fmt.Fprint(out, usage) }
	nodes := flags.Int("nodes", 1, "")
	registry := flags.Bool("registry", false, "")
	require := flags.Bool("require", false, "")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return 2
	}

	s := &surroundings{getenv: getenv, out: out, keep: getenv(envKeep) == "1"}
	defer s.takeDown()
	s.bringUp(ctx, *nodes, *registry)
	if ctx.Err() != nil {
		return 130 // as a shell has it after Ctrl-C
	}
	if len(s.missing) > 0 && (*require || getenv("CI") == "true") {
		fmt.Fprintln(out, "withkafka: the real thing is required here (CI=true or -require), the command was not run")
		return 1
	}
	code := runCommand(ctx, flags.Args(), s.env, out)
	for _, line := range s.missing { // where it is seen: after all that the command printed
		fmt.Fprintln(out, line)
	}
	return code
}

// surroundings are what the command is given to work with.
type surroundings struct {
	getenv func(string) string
	keep   bool
	env    []string // for the command
	// missing has a loud line for each thing that could not be had.
	missing []string

	cluster  *kafkatest.Cluster
	registry *kafkatest.Registry

	mu  sync.Mutex // guards out, to which both starts report
	out io.Writer
}

func (s *surroundings) say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// bringUp starts what was not given, broker and registry at the same time.
func (s *surroundings) bringUp(ctx context.Context, nodes int, registry bool) {
	var starts sync.WaitGroup
	var clusterErr, registryErr error
	if given := s.getenv(kafkatest.EnvBrokers); given != "" {
		s.say("kafka: given, %s=%s", kafkatest.EnvBrokers, given)
	} else {
		starts.Go(func() {
			s.cluster, clusterErr = kafkatest.Start(ctx, kafkatest.Config{
				Nodes: nodes, Keep: s.keep, Progress: func(step string) { s.say("%s", step) },
			})
		})
	}
	if given := s.getenv(kafkatest.EnvRegistryURL); registry && given != "" {
		s.say("registry: given, %s=%s", kafkatest.EnvRegistryURL, given)
	} else if registry {
		starts.Go(func() {
			s.registry, registryErr = kafkatest.StartRegistry(ctx, kafkatest.RegistryConfig{
				Keep: s.keep, Progress: func(step string) { s.say("%s", step) },
			})
		})
	}
	starts.Wait()

	if s.cluster != nil {
		plural := ""
		if nodes > 1 {
			plural = "s"
		}
		s.say("kafka: real %s, %d node%s, started in %.1f s, jars cached", s.cluster.Version(), nodes, plural, s.cluster.Took().Seconds())
		s.env = append(s.env, kafkatest.EnvBrokers+"="+strings.Join(s.cluster.Brokers(), ","))
	}
	if clusterErr != nil {
		s.miss("kafka: EMBEDDED ONLY (no broker given, %s)", clusterErr)
	}
	if s.registry != nil {
		s.say("registry: real Apicurio %s, started in %.1f s", s.registry.Version(), s.registry.Took().Seconds())
		s.env = append(s.env, kafkatest.EnvRegistryURL+"="+s.registry.URL())
	}
	if registryErr != nil {
		s.miss("registry: EMBEDDED ONLY (none given, %s)", registryErr)
	}
}

// miss says at length what could not be had, and keeps the first line for the end.
func (s *surroundings) miss(format string, err error) {
	reason, more, _ := strings.Cut(err.Error(), "\n")
	line := fmt.Sprintf(format, reason)
	s.missing = append(s.missing, line)
	s.say("%s", line)
	if more != "" {
		s.say("%s", more)
	}
}

// takeDown removes everything that was started, or says how to.
func (s *surroundings) takeDown() {
	if s.cluster != nil {
		if s.keep {
			s.kept("kafka", strings.Join(s.cluster.Brokers(), ","), s.cluster.PIDs(), s.cluster.Dir())
		} else if err := s.cluster.Close(); err != nil {
			s.say("withkafka: taking down kafka: %v", err)
		}
	}
	if s.registry != nil {
		if s.keep {
			s.kept("registry", s.registry.URL(), []int{s.registry.PID()}, s.registry.Dir())
		} else if err := s.registry.Close(); err != nil {
			s.say("withkafka: taking down the registry: %v", err)
		}
	}
}

func (s *surroundings) kept(what, where string, pids []int, dir string) {
	kill := slices.Concat([]string{"kill -9"}, strings.Fields(strings.Trim(fmt.Sprint(pids), "[]")))
	s.say("%s: kept at %s; to stop it: %s; rm -rf %s", what, where, strings.Join(kill, " "), dir)
}

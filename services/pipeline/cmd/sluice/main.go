// Command sluice runs Sluice in one process, lets invented customers come in, and shows what happens
// on the way. One file has one command; main.go has what they share, output.go how they print.
//
// Exit codes: 0 done, 1 findings or failure, 2 wrong usage, 78 wrong configuration.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/services/pipeline"
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// The exit codes.
const (
	exitOK       = 0
	exitFindings = 1
	exitUsage    = 2
)

// errFindings ends a command that has done its work and found something, and has said what.
var errFindings = errors.New("there are findings")

// usageError is a command line that cannot be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// app is one call of the command.
type app struct {
	environ        []string
	stdout, stderr io.Writer

	configFile string
	// begun says that the command line has been understood: what fails from then on is not its fault.
	begun bool
	local pipeline.Local // what is not configured, once that is known
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(args, environ []string, stdout, stderr io.Writer) int {
	a := &app{environ: environ, stdout: stdout, stderr: stderr}
	root := a.root()
	root.SetArgs(args)
	cmd, err := root.ExecuteC()
	if err != nil && !a.begun {
		err = usageError{err}
	}
	return a.explain(cmd, err)
}

// root has every command.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:     "sluice",
		Version: daemon.ReadBuild().String(),
		Short:   "Move customer data between your systems and Braze, over Kafka",
		Example: `  sluice run --simulate          everything in one process, with invented customers
  sluice probe                   one marked event in, and wait for it at the far end
  sluice tap customer.events     a topic as lines of JSON`,
		SilenceErrors: true, SilenceUsage: true,
		SuggestionsMinimumDistance: 2,
		PersistentPreRun:           func(*cobra.Command, []string) { a.begun = true },
		CompletionOptions:          cobra.CompletionOptions{HiddenDefaultCmd: false},
	}
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetVersionTemplate("sluice {{.Version}}\n")
	root.SetHelpTemplate(helpTemplate)
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().StringVar(&a.configFile, "config", "", "YAML `file` of the configuration; the environment overrides it (SLUICE_CONFIG)")
	_ = root.MarkPersistentFlagFilename("config", "yaml", "yml") // which fails for flags that do not exist
	root.AddCommand(
		a.runCommand(), a.simulateCommand(), a.probeCommand(), a.tapCommand(),
		a.traceCommand(), a.whyMutedCommand(), a.deadlettersCommand(), a.replayCommand(),
		a.sinksCommand(), a.currentsCommand(), a.backfillCommand(), a.contentCommand(),
		a.routesCommand(), a.fieldsCommand(), a.writebackCommand(), a.sourcesCommand(), a.schemasCommand(), a.topicsCommand(), a.configCommand(), a.versionCommand(),
	)
	return root
}

// helpTemplate puts the examples first: they are what most people look for.
const helpTemplate = `{{with .Short}}{{.}}.{{end}}
{{with .Example}}
Examples:
{{.}}
{{end}}
Usage:
  {{if .Runnable}}{{.UseLine}}{{else}}{{.CommandPath}} COMMAND{{end}}
{{if .HasAvailableSubCommands}}
Commands:
{{range .Commands}}{{if or .IsAvailableCommand (eq .Name "help")}}  {{rpad .Name .NamePadding}}  {{.Short}}
{{end}}{{end}}{{end}}{{with .Long}}
{{. | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}`

// where is said by every command that talks to a cluster.
const where = `Without KAFKA_BROKERS and SCHEMA_REGISTRY_URL it talks to the sluice run on this machine
(127.0.0.1:9092 and http://127.0.0.1:8085; EMBEDDED_KAFKA_ADDR, EMBEDDED_REGISTRY_ADDR).`

// group is a command that only has others.
func group(use, short, example string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Example: example,
		// Without this a mistyped command would print help and count as success.
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return usageError{fmt.Errorf("%s needs one of its commands", c.CommandPath())}
		},
	}
	c.AddCommand(commands...)
	for _, sub := range commands {
		c.ValidArgs = append(c.ValidArgs, sub.Name())
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		message := fmt.Sprintf("unknown command %q for %q", args[0], c.CommandPath())
		c.SuggestionsMinimumDistance = 2
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			message += "; did you mean " + strings.Join(near, " or ") + "?"
		}
		return errors.New(message)
	}
	return c
}

// load reads the configuration.
func (a *app) load() (pipeline.Config, *config.Report, error) {
	cfg, report, err := pipeline.Load(config.Options{File: a.configFile, Environ: a.environ})
	a.local = cfg.Local
	return cfg, report, err
}

// env is a variable of the environment.
func (a *app) env(name string) string {
	value := ""
	for _, line := range a.environ {
		if n, v, _ := strings.Cut(line, "="); n == name {
			value = v
		}
	}
	return value
}

// untilInterrupted ends with Ctrl-C, for commands that then simply end.
func untilInterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}

// explain says why the command ends, and returns the code to exit with.
func (a *app) explain(cmd *cobra.Command, err error) int {
	var usage usageError
	var target pipeline.UnknownTargetError
	var problem config.Problem
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, errFindings):
		return exitFindings
	case errors.As(err, &usage), errors.As(err, &target):
		_, _ = fmt.Fprintf(a.stderr, "sluice: %s\nTry %s --help.\n", strings.TrimSpace(err.Error()), cmd.CommandPath())
		return exitUsage
	case errors.As(err, &problem):
		_, _ = fmt.Fprintf(a.stderr, "sluice: the configuration is not in order:\n  %s\n", strings.ReplaceAll(err.Error(), "\n", "\n  "))
		return config.ExitCode
	}
	_, _ = fmt.Fprintf(a.stderr, "sluice: %s\n", err)
	if errors.Is(err, syscall.ECONNREFUSED) && (a.local.Kafka || a.local.Registry) {
		a.say("Is sluice run running on this machine? For another Kafka set KAFKA_BROKERS and SCHEMA_REGISTRY_URL.")
	}
	return exitFindings
}

package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/braze-sender/routes"
)

func (a *app) routesCommand() *cobra.Command {
	return group("routes", "Check a file of routes, and try it on records without sending anything",
		`  sluice routes default > routes.yaml       a file to begin with
  sluice routes check routes.yaml           is it in order, and do its examples hold?
  sluice tap customer.events --since 24h | sluice routes test routes.yaml --records -`,
		a.routesTestCommand(), a.routesCheckCommand(), a.routesDefaultCommand())
}

// routesFileEnv names the file that braze-sender runs with.
const routesFileEnv = "ROUTES_FILE"

func (a *app) routesDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use: "default", Short: "Print the file that is used where ROUTES_FILE is not set",
		Example: "  sluice routes default > routes.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(a.stdout, routes.Shipped())
			return err
		},
	}
}

func (a *app) routesCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read a file of routes strictly, and run the examples in it",
		Example: `  sluice routes check routes.yaml
  sluice routes check routes.yaml --json`,
		Long: `Without FILE it is the one that ROUTES_FILE names, or the shipped one. Everything that is wrong is
named with its line and with what is allowed (exit code 78); examples that do not hold are shown with
what was expected and what came (exit code 1).`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.routesCheck(args, asJSON) },
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) routesCheck(args []string, asJSON bool) error {
	file := a.env(routesFileEnv)
	if len(args) > 0 {
		file = args[0]
	}
	table, err := routes.Load(file)
	if err != nil {
		return err
	}
	n, failures := table.CheckExamples()
	switch {
	case asJSON:
		err = a.json(struct {
			Routes   []string                `json:"routes"`
			Examples int                     `json:"examples"`
			Failures []routes.ExampleFailure `json:"failures"`
		}{table.Names(), n, append([]routes.ExampleFailure{}, failures...)})
	default:
		for _, f := range failures {
			if _, err = fmt.Fprintf(a.stdout, "%s:%d: %s\n  want %s\n  got  %s\n", fileName(file), f.Line, f.Name, f.Want, f.Got); err != nil {
				break
			}
		}
	}
	if err != nil {
		return err
	}
	if len(failures) > 0 {
		a.say("%s: %d of %d examples do not hold", fileName(file), len(failures), n)
		return errFindings
	}
	a.say("%s: %s in order, %s hold", fileName(file), counted(len(table.Names()), "route"), counted(n, "example"))
	return nil
}

// fileName is what a file of routes is called; the shipped one has no path.
func fileName(path string) string { return cmp.Or(path, "the shipped file") }

func counted(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%s %ss", thousands(n), noun)
}

// thousands writes a number so that its size can be seen: 100,000.
func thousands(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// trial is what the command line says about a shadow run.
type trial struct {
	against, records string
	topic, since     string
	limit, show      int
	requests, json   bool
	againstGiven     bool
}

func (a *app) routesTestCommand() *cobra.Command {
	var t trial
	c := &cobra.Command{
		Use:   "test FILE (--records FILE | --topic TOPIC)",
		Short: "Run a file of routes on recorded or live records, and show what would be sent",
		Example: `  sluice tap commerce.events --since 24h > day.jsonl
  sluice routes test routes.yaml --records day.jsonl
  sluice routes test routes.yaml --topic customer.events --since 1h --limit 10000
  sluice routes test new.yaml --against routes.yaml --records day.jsonl --show 10
  sluice routes test routes.yaml --records day.jsonl --requests | jq -c 'select(.what == "campaign")'`,
		Long: `A shadow run: nothing is sent, and nothing is written anywhere. It counts what the file would send,
by kind and target, beside what the running file sends (--against, else ROUTES_FILE, else the shipped
one), and shows samples of what is added, removed and changed. With --requests every request is
printed, one a line. Records are lines as sluice tap prints them; - is standard input.

What page views and screen views become depends on BRAZE_PAGE_EVENTS, as in braze-sender. Exit code 1
when a route fails on a record: in earnest that record would be a dead letter.

` + where,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			t.againstGiven = c.Flags().Changed("against")
			return a.routesTest(c, args[0], t)
		},
	}
	f := c.Flags()
	f.StringVar(&t.against, "against", "", "`file` to compare with; the running one (ROUTES_FILE) otherwise")
	f.StringVar(&t.records, "records", "", "`file` of recorded lines, - for standard input")
	f.StringVar(&t.topic, "topic", "", "read this `topic` instead: "+strings.Join(routes.Topics(), ", "))
	f.StringVar(&t.since, "since", "", "of the topic, only records stamped at this `time` or later, such as 1h; all otherwise")
	f.IntVar(&t.limit, "limit", 0, "end after so `many` records")
	f.IntVar(&t.show, "show", 3, "how `many` samples of each kind of difference")
	f.BoolVar(&t.requests, "requests", false, "print every request as a line of JSON, and the counts to standard error")
	f.BoolVar(&t.json, "json", false, "print the counts and samples as JSON")
	_ = c.RegisterFlagCompletionFunc("topic", cobra.FixedCompletions(routes.Topics(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (t trial) check() error {
	switch {
	case (t.records == "") == (t.topic == ""):
		return usageError{errors.New("give either --records or --topic")}
	case t.topic != "" && !slices.Contains(routes.Topics(), t.topic):
		return usageError{fmt.Errorf("--topic: routes are for %s", strings.Join(routes.Topics(), ", "))}
	case t.since != "" && t.topic == "":
		return usageError{errors.New("--since goes with --topic; recorded lines are all taken")}
	case t.limit < 0 || t.show < 0:
		return usageError{errors.New("--limit and --show: nothing less than 0")}
	case t.requests && t.json:
		return usageError{errors.New("--requests and --json: give one of them")}
	}
	return nil
}

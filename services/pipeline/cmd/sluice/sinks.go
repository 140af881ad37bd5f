package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/pipeline/sinks"
	"github.com/sluicehq/sluice/services/pipeline/tap"

	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

func (a *app) sinksCommand() *cobra.Command {
	return group("sinks", "Show how far the sinks of engagement are, let one pause and go on, and check a file of them",
		`  sluice sinks list
  sluice sinks pause warehouse --why "moving house"
  sluice sinks resume warehouse
  sluice sinks check sinks.yaml`,
		a.sinksListCommand(), a.sinksPauseCommand(), a.sinksResumeCommand(), a.sinksCheckCommand())
}

// sinksFileEnv names the file that currents-fanout runs with.
const sinksFileEnv = "SINKS_FILE"

func (a *app) sinksListCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "Show each sink's state, how many records it is behind, and who has paused it",
		Example: `  sluice sinks list
  sluice sinks list --json | jq '.[] | select(.lag > 1000)'`,
		Long: `The sinks are those of SINKS_FILE; without it, of the sluice run on this machine. A sink that is paused
and stands in no file is shown, too. LAG is how many records it has yet to settle; --json has it for
each partition, with what is committed and where the topic ends.

` + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withSite(c, func(ctx context.Context, s *site) error {
				configured, err := s.config.Sinks()
				if err != nil {
					return err
				}
				list, err := sinks.List(ctx, s.Cluster, configured)
				if err != nil {
					return err
				}
				if asJSON {
					return a.json(list)
				}
				return a.sinkStates(list)
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) sinkStates(list []sinks.Status) error {
	if len(list) == 0 {
		a.say("there are no sinks: SINKS_FILE names none")
		return nil
	}
	rows := make([][]string, 0, len(list))
	for _, s := range list {
		state, by, since, why := string(s.State), "", "", ""
		if s.State == sinks.Idle {
			state = a.paint(a.stdout, red, state)
		}
		if s.Pause != nil {
			by, since, why = s.Pause.By, s.Pause.Since.UTC().Format(tap.Millis), s.Pause.Why
		}
		rows = append(rows, []string{s.Name, orDash(s.Kind), state, strconv.Itoa(s.Members), strconv.FormatInt(s.Lag, 10), orDash(by), orDash(since), orDash(why)})
	}
	return a.table([]string{"SINK", "KIND", "STATE", "MEMBERS", "LAG", "PAUSED BY", "SINCE", "WHY"}, rows)
}

// speaking is what the command line says beside a sink's name.
type speaking struct {
	by, why string
}

func (sp *speaking) flags(c *cobra.Command, why string) {
	c.Flags().StringVar(&sp.by, "by", "", "`who` says so; you, on this machine, when not given")
	c.Flags().StringVar(&sp.why, "why", "", why)
}

// who is the name that stands beside what somebody has ordered.
func (sp *speaking) who() string {
	if sp.by != "" {
		return sp.by
	}
	name := "somebody"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	host, err := os.Hostname()
	if err != nil {
		return name
	}
	return name + "@" + host
}

func (a *app) sinksPauseCommand() *cobra.Command {
	var sp speaking
	c := &cobra.Command{
		Use: "pause SINK --why TEXT", Short: "Let a sink pause: what comes for it waits on its topic, and no other sink notices",
		Example: `  sluice sinks pause warehouse --why "moving house until Thursday"`,
		Long: `Every replica of currents-fanout finishes what the sink has under way and leaves its group. It stays
paused through restarts until sluice sinks resume. Topics keep records for a while only, braze.engagements
for 14 days: what is older is gone for a sink that pauses longer.

` + where,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(sp.why) == "" {
				return usageError{fmt.Errorf("--why: whoever finds %s paused will want to know", args[0])}
			}
			return a.sayOfSink(c, args[0], sinks.Pause{Paused: true, By: sp.who(), Why: sp.why})
		},
		ValidArgsFunction: a.sinkNames,
	}
	sp.flags(c, "why, in a few `words` for whoever wonders")
	return c
}

func (a *app) sinksResumeCommand() *cobra.Command {
	var sp speaking
	c := &cobra.Command{
		Use: "resume SINK", Short: "Let a sink go on where it was paused",
		Example: `  sluice sinks resume warehouse`,
		Long:    where,
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.sayOfSink(c, args[0], sinks.Pause{By: sp.who(), Why: sp.why})
		},
		ValidArgsFunction: a.sinkNames,
	}
	sp.flags(c, "why, in a few `words`")
	return c
}

// sayOfSink lets currents-fanout know whether a sink runs.
func (a *app) sayOfSink(c *cobra.Command, name string, p sinks.Pause) error {
	return a.withSite(c, func(ctx context.Context, s *site) error {
		said, err := sinks.Pauses(ctx, s.Cluster)
		if err != nil {
			return err
		}
		before := said[name]
		if !before.Paused { // one that is paused may be gone from the file
			if err := s.knowsSink(name); err != nil {
				return err
			}
		}
		if before.Paused == p.Paused {
			if p.Paused {
				return fmt.Errorf("%s is paused already: by %s, since %s: %s", name, before.By, before.Since.UTC().Format(tap.Millis), before.Why)
			}
			a.say("%s is not paused", name)
			return nil
		}
		p.Since = time.Now().UTC().Truncate(time.Millisecond)
		if err := sinks.Say(ctx, s.Cluster, name, p); err != nil {
			return err
		}
		if p.Paused {
			a.say("%s pauses, once what it has under way is done; sluice sinks list shows it", name)
		} else {
			a.say("%s goes on; it was paused by %s: %s", name, before.By, before.Why)
		}
		return nil
	})
}

// knowsSink fails for the name of a sink that there is not.
func (s *site) knowsSink(name string) error {
	_, err := s.sink(name)
	return err
}

func (s *site) sink(name string) (sinks.Sink, error) {
	all, err := s.config.Sinks()
	if err != nil {
		return sinks.Sink{}, err
	}
	found, err := sinks.Find(all, name)
	if err != nil {
		return found, usageError{err}
	}
	return found, nil
}

// sinkNames completes names of sinks.
func (a *app) sinkNames(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, _, err := a.load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	all, err := cfg.Sinks()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, s := range all {
		names = append(names, s.Name)
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) sinksCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "check [FILE]", Short: "Read a file of sinks strictly, as currents-fanout does at its start",
		Example: `  sluice sinks check sinks.yaml
  COLLECTOR_TOKEN=secret sluice sinks check sinks.yaml --json`,
		Long: `Without FILE it is the one that SINKS_FILE names, or the shipped one. Everything that is wrong is named
with its sink, its field, its line and what is allowed (exit code 78), a variable that is not set
included. Nothing is connected to.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := a.env(sinksFileEnv)
			if len(args) > 0 {
				file = args[0]
			}
			return a.sinksCheck(file, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) sinksCheck(file string, asJSON bool) error {
	if file == shippedFile {
		file = ""
	}
	f, err := currentsfanout.Load(file, a.lookup)
	if err != nil {
		return err
	}
	type line struct {
		Name   string   `json:"name"`
		Kind   string   `json:"kind"`
		Topics []string `json:"topics"`
		Group  string   `json:"group"`
	}
	lines, rows := []line{}, [][]string{}
	for _, s := range f.Sinks {
		lines = append(lines, line{s.Name, s.Kind, s.Topics, currentsfanout.Group(s.Name)})
		rows = append(rows, []string{s.Name, s.Kind, strings.Join(s.Topics, ","), currentsfanout.Group(s.Name)})
	}
	if asJSON {
		return a.json(lines)
	}
	if len(rows) > 0 {
		if err := a.table([]string{"SINK", "KIND", "TOPICS", "GROUP"}, rows); err != nil {
			return err
		}
	}
	a.say("%s is in order: %s", cmp.Or(file, "the shipped file"), counted(len(rows), "sink"))
	return nil
}

// lookup is a variable of the environment, and whether it is there.
func (a *app) lookup(name string) (string, bool) {
	value, found := "", false
	for _, line := range a.environ {
		if n, v, _ := strings.Cut(line, "="); n == name {
			value, found = v, true
		}
	}
	return value, found
}

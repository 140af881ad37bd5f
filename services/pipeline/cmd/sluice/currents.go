package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/currents-fanout/watch"
	"github.com/sluicehq/sluice/services/pipeline/currents"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

func (a *app) currentsCommand() *cobra.Command {
	var since string
	var campaigns int
	var asJSON bool
	c := &cobra.Command{
		Use:   "currents",
		Short: "Say how Braze's Currents is doing: what comes, what has fallen silent, what became of campaigns",
		Example: `  sluice currents
  sluice currents --since 168h --campaigns 50
  sluice currents --json | jq '.types[] | select(.verdict != "fine")'
  sluice currents drift`,
		Long: `Reads braze.engagements and judges by the rules that currents-fanout raises its alarms by. Every event
counts once, by when it came in here.

A connector or type is silent when it came regularly and has not for longer than its own rhythm of the
day before allows, half an hour at least. It has dropped when the last whole hour had less than half of
what that hour had a day before, and of that day's median hour, and chance cannot explain it. It is
irregular where it comes so seldom or so unevenly that neither would mean anything. The day before is
read in any case, also for a shorter --since.

OPENS and CLICKS are those of people as far as Braze can tell; machines' are beside them. The ratios of
opens, clicks and unsubscribes are of what was delivered, or sent and not bounced where a channel
reports no deliveries.

Exit code 1 when anything is silent or has dropped.

` + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			now := time.Now()
			from, err := spanFrom(since, now)
			if err != nil {
				return err
			}
			if campaigns < 0 {
				return usageError{fmt.Errorf("--campaigns: want a number from 0")}
			}
			return a.withSite(c, func(ctx context.Context, s *site) error {
				v, err := currents.Look(ctx, s.Cluster, from, now)
				if err != nil {
					return err
				}
				if asJSON {
					err = a.json(v)
				} else {
					err = a.currents(v, campaigns)
				}
				if err == nil && len(v.Alarms) > 0 {
					return errFindings
				}
				return err
			})
		},
	}
	f := c.Flags()
	f.StringVar(&since, "since", "24h", "count what came at this `time` or later")
	f.IntVar(&campaigns, "campaigns", 20, "show so `many` campaigns and steps of Canvases, the busiest; --json has all")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	c.AddCommand(a.currentsDriftCommand())
	return c
}

func (a *app) currentsDriftCommand() *cobra.Command {
	var since string
	var asJSON bool
	c := &cobra.Command{
		Use:   "drift",
		Short: "Show types and fields of events that are in no catalogue of ours, with a masked example",
		Example: `  sluice currents drift
  sluice currents drift --since 336h --json`,
		Long: `Braze adds types and fields whenever it likes. All of them are taken, kept and handed on as they are; this
says which they are, so that somebody may use them. In examples letters are x and digits 9.

` + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			from, err := spanFrom(since, time.Now())
			if err != nil {
				return err
			}
			return a.withSite(c, func(ctx context.Context, s *site) error {
				d, err := currents.FindDrifts(ctx, s.Cluster, from)
				if err != nil {
					return err
				}
				if asJSON {
					return a.json(d)
				}
				return a.drifts(d)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&since, "since", "24h", "look at what came at this `time` or later")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// spanFrom reads when a span that ends now begins.
func spanFrom(since string, now time.Time) (time.Time, error) {
	at, err := tap.Moment(since, now)
	if err == nil && !at.Before(now) {
		err = fmt.Errorf("%s is not in the past", since)
	}
	if err != nil {
		return at, usageError{fmt.Errorf("--since: %w", err)}
	}
	return at, nil
}

// currents prints a view for a person.
func (a *app) currents(v currents.View, campaigns int) error {
	a.oddities(v.Unreadable)
	if len(v.Connectors) == 0 {
		a.say("nothing has come from Braze; is a connector set up (POST /v1/braze/currents)?")
		return nil
	}
	headings := []string{"CONNECTOR", "EVENT_TYPE", "EVENTS", "PER_HOUR", "LAST_HOUR", "USUAL_HOUR", "NEWEST", "AGE", "VERDICT"}
	var rows [][]string
	types := v.Types
	for i := range v.Connectors {
		c := &v.Connectors[i]
		words := a.verdict(&c.Flow)
		if c.CutOff != nil {
			words += fmt.Sprintf("; Braze gives it up in %s", briefly(max(0, c.CutOff.Sub(v.At))))
		}
		rows = append(rows, flowRow(printable(c.Workspace), "all", &c.Flow, v.Hours, words))
		for len(types) > 0 && types[0].Workspace == c.Workspace {
			rows = append(rows, flowRow(printable(c.Workspace), printable(types[0].Type), &types[0].Flow, v.Hours, a.verdict(&types[0].Flow)))
			types = types[1:]
		}
	}
	if err := a.table(headings, rows); err != nil {
		return err
	}
	if v.Repeats > 0 {
		a.say("%d repeats are not counted", v.Repeats)
	}
	if v.Forgotten > 0 {
		a.say("%d types or campaigns are missing: there are too many", v.Forgotten)
	}
	return a.campaigns(v.Steps[:min(campaigns, len(v.Steps))])
}

func flowRow(workspace, event string, f *watch.Flow, hours float64, verdict string) []string {
	return []string{
		orNone(workspace), event, strconv.FormatUint(f.Events, 10), strconv.FormatFloat(float64(f.Events)/hours, 'f', 1, 64),
		strconv.Itoa(f.LastHour), strconv.Itoa(f.UsualHour),
		f.Newest.UTC().Format(time.RFC3339), briefly(time.Duration(f.AgeSeconds * float64(time.Second))), verdict,
	}
}

// orNone names a connector whose URL names no workspace, as metrics do.
func orNone(workspace string) string {
	if workspace == "" {
		return "none"
	}
	return workspace
}

// verdict has the words for what was found.
func (a *app) verdict(f *watch.Flow) string {
	switch f.Verdict {
	case watch.Silent:
		return a.paint(a.stdout, red, fmt.Sprintf("silent for more than %s", briefly(time.Duration(f.AllowedSeconds*float64(time.Second)))))
	case watch.Dropped:
		return a.paint(a.stdout, red, "dropped")
	case watch.Unheard:
		return "its connector is silent"
	case watch.Fine, watch.Irregular:
	}
	return string(f.Verdict)
}

// campaigns prints what became of messages.
func (a *app) campaigns(steps []watch.Step) error {
	if len(steps) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(a.stdout); err != nil {
		return err
	}
	var rows [][]string
	for _, s := range steps {
		id := s.Campaign
		if s.Canvas != "" {
			id = strings.TrimSuffix(s.Canvas+"/"+s.Step, "/")
		}
		n := strconv.Itoa
		rows = append(rows, []string{
			orNone(printable(s.Workspace)), printable(id), orDash(printable(s.Name)), orDash(s.Channel), n(s.Sends), n(s.Deliveries), n(s.Bounces + s.SoftBounces),
			n(s.Opens), n(s.MachineOpens), n(s.Clicks), n(s.BotClicks), n(s.Unsubscribes),
			percent(s.Delivered), percent(s.Bounced), percent(s.Opened), percent(s.Clicked), percent(s.Unsubscribed),
		})
	}
	return a.table([]string{
		"CONNECTOR", "CAMPAIGN_OR_STEP", "NAME", "CHANNEL", "SENDS", "DELIVERED", "BOUNCES", "OPENS", "BY_MACHINE", "CLICKS", "BY_BOT", "UNSUBS",
		"DELIVERED%", "BOUNCED%", "OPENED%", "CLICKED%", "UNSUB%",
	}, rows)
}

// printable takes from a name that somebody typed into a dashboard what would break a table or move the cursor.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, name)
}

// percent is a ratio, or a dash where there is none.
func percent(ratio *float64) string {
	if ratio == nil {
		return "-"
	}
	return strconv.FormatFloat(100**ratio, 'f', 1, 64)
}

// briefly is a duration by its two largest units.
func briefly(d time.Duration) string {
	switch {
	case d >= 24*time.Hour:
		return fmt.Sprintf("%dd%dh", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// drifts prints what is in no catalogue.
func (a *app) drifts(d currents.Drifts) error {
	a.oddities(d.Unreadable)
	if len(d.Drifts) == 0 {
		a.say("nothing in %d events that is not in the catalogue", d.Events)
		return nil
	}
	var rows [][]string
	for _, one := range d.Drifts {
		rows = append(rows, []string{
			printable(one.Type), orDash(printable(one.Field)), one.What, strconv.Itoa(one.Events), one.First.UTC().Format(tap.Millis), orDash(one.Example),
		})
	}
	if d.More {
		a.say("there are more, and no room to tell them apart")
	}
	return a.table([]string{"EVENT_TYPE", "FIELD", "WHAT", "EVENTS", "FIRST", "EXAMPLE"}, rows)
}

func (a *app) oddities(unreadable int) {
	if unreadable > 0 {
		a.say("%d records of the topic are no engagement events; sluice tap braze.engagements shows them", unreadable)
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/deadletter"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline/deadletters"
)

func (a *app) deadlettersReplayCommand() *cobra.Command {
	var ch choosing
	var all, yes, asJSON bool
	c := &cobra.Command{
		Use: "replay [ID…]", Short: "Send dead letters back to their topic, once their cause is gone; a dry run first",
		Example: `  sluice deadletters replay --service braze-sender --reason item_error --match "rate plan"
  sluice deadletters replay --service braze-sender --reason item_error --match "rate plan" --yes
  sluice deadletters replay braze-sender.deadletters/3/17 --yes`,
		Long: `Without --yes it only says what would go back, and what not and why. The record goes back with its
untouched key, value and headers and the header replayed-from, each customer's in the order in which
they stood on their topic. What braze.deliveries says was delivered stays, under its own place or
under another with the same id; so does what was replayed before: copies are known by their header,
and by marks among the dead letters (reason: replayed). What the front door refused has no topic to
go back to. What a sink of currents-fanout could not take goes back to that sink alone. Exit code 1 when something that should have gone back did not.

Let one person replay at a time: two at once do not see each other.

` + where,
		RunE: func(c *cobra.Command, args []string) error {
			f, err := ch.filter(time.Now())
			if err != nil {
				return err
			}
			return a.withSite(c, func(ctx context.Context, s *site) error {
				for _, text := range args {
					id, err := deadletters.ParseID(text, s.Kafka.TopicPrefix)
					if err != nil {
						return usageError{err}
					}
					f.IDs = append(f.IDs, id)
				}
				switch {
				case f.IsZero() && !all:
					return usageError{deadletters.ErrEverything}
				case all && !f.IsZero():
					return usageError{errors.New("--all: the others say that not all are meant")}
				}
				return a.replayLetters(ctx, s, f, yes, asJSON)
			})
		},
	}
	ch.flags(c, true)
	c.Flags().BoolVar(&all, "all", false, "every dead letter there is")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) replayLetters(ctx context.Context, s *site, f deadletters.Filter, yes, asJSON bool) error {
	plan, err := deadletters.Make(ctx, s.Cluster, f)
	if err != nil {
		return err
	}
	if !asJSON {
		if err := a.letterPlan(plan); err != nil {
			return err
		}
	}
	report := struct {
		DryRun bool              `json:"dry_run"`
		Plan   *deadletters.Plan `json:"plan"`
		Done   *deadletters.Done `json:"done,omitempty"`
	}{DryRun: !yes, Plan: plan}
	if yes && plan.Replay > 0 {
		done, failed := plan.Do(ctx, s.marker(ctx), a.countUp)
		report.Done, err = &done, failed
	}
	if asJSON {
		err = errors.Join(a.json(report), err)
	} else {
		a.letterReport(plan, report.Done, yes)
	}
	if err == nil && report.Done != nil && len(report.Done.Failed) > 0 {
		return errFindings
	}
	return err
}

// marker opens the dead letters of a service for marks.
func (s *site) marker(ctx context.Context) deadletters.Marker {
	return func(service string) (*deadletter.Writer, error) {
		topic, _ := schema.Find(schema.DeadLetters(service))
		subject := schema.Subject(s.Kafka.Topic(topic.Name))
		id, _, err := s.registry.Lookup(ctx, subject, topic.Text())
		if errors.Is(err, registry.ErrNotFound) { // the letters are of an older version
			id, err = s.registry.Register(ctx, subject, topic.Text())
		}
		if err != nil {
			return nil, err
		}
		return deadletter.Open(s.Kafka, service, id)
	}
}

// countUp shows a person how far something has come.
func (a *app) countUp(done, of int) {
	if onTerminal(a.stderr) {
		_, _ = fmt.Fprintf(a.stderr, "\r\x1b[K%d of %d", done, of)
		if done >= of {
			_, _ = fmt.Fprint(a.stderr, "\r\x1b[K")
		}
	}
}

// letterPlan prints what would happen, grouped by why.
func (a *app) letterPlan(p *deadletters.Plan) error {
	type why struct {
		verdict deadletters.Verdict
		words   string
	}
	var order []why
	counts, examples := map[why]int{}, map[why]string{}
	for _, it := range p.Items {
		w := why{it.Verdict, it.Why}
		switch it.Verdict {
		case deadletters.Replay:
			w.words = "to " + it.OriginTopic
			if it.Sink != "" {
				w.words = "to " + it.Sink + " alone"
			}
		case deadletters.Replayed, deadletters.Repeated, deadletters.Delivered:
			w.words = "" // differs from letter to letter; --json has it
		default:
		}
		if counts[w] == 0 {
			order = append(order, w)
			examples[w] = it.ID.String()
		}
		counts[w]++
	}
	if len(order) == 0 {
		return nil
	}
	slices.SortStableFunc(order, func(x, y why) int { return counts[y] - counts[x] })
	var rows [][]string
	for _, w := range order {
		words := w.words
		if words == "" {
			words = verdictWords[w.verdict]
		}
		rows = append(rows, []string{strconv.Itoa(counts[w]), string(w.verdict), words, examples[w]})
	}
	return a.table([]string{"LETTERS", "VERDICT", "WHY", "EXAMPLE"}, rows)
}

var verdictWords = map[deadletters.Verdict]string{
	deadletters.Delivered: "stays: it has been delivered, under its place or another with its id",
	deadletters.Replayed:  "stays: it went back before",
	deadletters.Repeated:  "stays: another of these has the same record or the same id",
}

// letterReport says in words what was done, and what to know before doing it.
func (a *app) letterReport(p *deadletters.Plan, done *deadletters.Done, yes bool) {
	for _, w := range []struct {
		n    int
		text string
	}{
		{p.InDoubt, "were in doubt: Braze may have them, and then it has them twice"},
		{p.Halves, "were taken in part (attributes or event): the part that Braze has is sent again"},
		{p.Attributes, "set attributes: values that were set since are overwritten"},
		{p.Unreadable, "were refused for what they are, and will be again unless the service can read them now"},
		{p.Old, "are older than receipts are kept: whether another with their id was delivered is not known any more"},
	} {
		if w.n > 0 {
			a.say("note: of those that go back, %d %s", w.n, w.text)
		}
	}
	what := fmt.Sprintf("%d of %d letters, of %s,", p.Replay, len(p.Items), counted(p.Users, "customer"))
	switch {
	case len(p.Items) == 0:
		a.say("there are no dead letters that fit")
	case p.Replay == 0:
		a.say("none of %d letters goes back", len(p.Items))
	case !yes:
		a.say("dry run: %s would go back; --yes does it", what)
	case done != nil:
		a.say("%d of %d letters went back; sluice trace shows what becomes of them", done.Replayed, p.Replay)
		for _, f := range done.Failed {
			a.say("not taken: %s: %s", f.ID, f.Why)
		}
	}
}

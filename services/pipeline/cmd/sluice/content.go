package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/pipeline/content"
)

func (a *app) contentCommand() *cobra.Command {
	return group("content", "Say what messages would get of approved content, and print the tag that asks for it",
		`  sluice content check
  sluice content check banners/spring
  sluice content snippet banners/spring --url https://content.example.com`,
		a.contentCheckCommand(), a.contentSnippetCommand())
}

// contentChecking is what the command line says about a check.
type contentChecking struct {
	soon, timeout          time.Duration
	noAssets, asJSON       bool
	concurrency            int
	imageBytes, otherBytes int64
}

func (a *app) contentCheckCommand() *cobra.Command {
	var k contentChecking
	c := &cobra.Command{
		Use:   "check [COLLECTION | COLLECTION/ID]",
		Short: "Say what a message would get now, what is too large, what is missing, and what ends soon",
		Example: `  sluice content check
  sluice content check banners --soon 168h
  sluice content check banners/spring
  sluice content check --json | jq '.problems[] | select(.grave)'`,
		Long: `Reads content.items, judges it as content-cacher does, by the rules of CONTENT_FILE, and asks for the
assets of what is shown or will be: by HEAD, and where that says too little, for one byte.

STATE is shown, not_approved, not_yet (its window has not begun), expired, or withdrawn. GETS is what a
message gets that asks for that locale now: a locale, the item's own, the collection's default, or
nothing. Without COLLECTION/ID items are only counted; --json has all of them.

Wrong are answers beyond the 1 MB that Braze takes, assets that are not there, of another type than the
item says, or too heavy, records that content-cacher refuses, and collections that no rule names. Exit
code 1 when anything is wrong, or the item is not there. What is large or ends soon is only reported.

` + where,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			about, err := content.ParseSubject(strings.Join(args, ""))
			if err != nil {
				return usageError{err}
			}
			if k.concurrency < 1 || k.timeout <= 0 || k.soon < 0 || k.imageBytes < 0 || k.otherBytes < 0 {
				return usageError{errors.New("--concurrency and --timeout are larger than 0, and no bound is below it")}
			}
			return a.withSite(c, func(ctx context.Context, s *site) error { return a.contentCheck(ctx, s, about, &k) })
		},
	}
	f := c.Flags()
	f.DurationVar(&k.soon, "soon", 72*time.Hour, "report what is not shown any more within this `time`")
	f.BoolVar(&k.noAssets, "no-assets", false, "ask for no assets")
	f.IntVar(&k.concurrency, "concurrency", 8, "ask for so `many` assets at the same time")
	f.DurationVar(&k.timeout, "timeout", 10*time.Second, "give up an asset after this `time`")
	f.Int64Var(&k.imageBytes, "image-bytes", 5_000_000, "`most` bytes of an image; 0 for no bound")
	f.Int64Var(&k.otherBytes, "other-bytes", 0, "`most` bytes of audio and video; 0 for no bound")
	f.BoolVar(&k.asJSON, "json", false, "print JSON")
	return c
}

func (a *app) contentCheck(ctx context.Context, s *site, about content.Subject, k *contentChecking) error {
	rules, err := content.LoadRules(s.config.Content.Content.CollectionsFile)
	if err != nil {
		return err
	}
	o := content.Options{About: about, Rules: rules, Now: time.Now().UTC(), Soon: k.soon}
	if !k.noAssets {
		m := meter{app: a}
		defer m.clear()
		o.Fetch = &content.Fetcher{
			Client: &http.Client{}, Concurrency: k.concurrency, Timeout: k.timeout,
			Limits:   map[string]int64{"image": k.imageBytes, "video": k.otherBytes, "audio": k.otherBytes},
			Progress: a.assetProgress(&m),
		}
	}
	r, err := content.Check(ctx, s.Cluster, o)
	if err != nil {
		return err
	}
	if k.asJSON {
		err = a.json(r)
	} else {
		err = a.contentReport(r, about)
	}
	switch {
	case err != nil:
		return err
	case about.Collection != "" && len(r.Collections) == 0 && len(r.Problems) == 0:
		return fmt.Errorf("there is nothing of %s on content.items", strings.TrimSuffix(about.Collection+"/"+about.ID, "/"))
	case r.Grave() > 0:
		return errFindings
	}
	return nil
}

// assetProgress draws how many assets have been asked for; nil where nobody reads along.
func (a *app) assetProgress(m *meter) func(done, of int) {
	if !onTerminal(a.stderr) {
		return nil
	}
	return func(done, of int) {
		now := time.Now()
		switch {
		case done >= of:
			m.clear()
		case now.Sub(m.shown) >= meterEvery:
			m.shown, m.drawn = now, true
			_, _ = fmt.Fprintf(a.stderr, "\r\x1b[Kasking for assets: %d of %d", done, of)
		}
	}
}

// contentReport prints a report for a person.
func (a *app) contentReport(r *content.Report, about content.Subject) error {
	if err := a.contentStates(r, about); err != nil {
		return err
	}
	if len(r.Ending) > 0 {
		rows := [][]string{}
		for _, e := range r.Ending {
			rows = append(rows, []string{printable(e.Collection + "/" + e.ID), orOwn(e.Locale), e.Until.Format(time.RFC3339), "in " + briefly(e.Until.Sub(r.At)), e.Then})
		}
		if err := a.apart([]string{"ENDING", "LOCALE", "UNTIL", "LEFT", "THEN"}, rows); err != nil {
			return err
		}
	}
	if len(r.Problems) > 0 {
		rows := [][]string{}
		for i := range r.Problems {
			p := &r.Problems[i]
			what := p.What
			if p.Grave {
				what = a.paint(a.stdout, red, what)
			}
			name := strings.TrimSuffix(p.Collection+"/"+p.ID, "/")
			rows = append(rows, []string{printable(name), orOwn(p.Locale), what, printable(p.Detail), orDash(printable(p.URL))})
		}
		if err := a.apart([]string{"PROBLEM", "LOCALE", "WHAT", "DETAIL", "URL"}, rows); err != nil {
			return err
		}
	}
	a.say("%s wrong, %s asked for", counted(r.Grave(), "thing"), counted(r.Assets.Checked, "asset"))
	return nil
}

// contentStates prints an item in all its locales, or how many there are in each state.
func (a *app) contentStates(r *content.Report, about content.Subject) error {
	if len(r.Collections) == 0 {
		return nil
	}
	var rows [][]string
	if about.ID == "" {
		for _, c := range r.Collections {
			row := []string{printable(c.Name), strconv.Itoa(len(c.Items))}
			for _, state := range contentStates {
				row = append(row, strconv.Itoa(c.Now[state]))
			}
			rows = append(rows, row)
		}
		return a.table([]string{"COLLECTION", "ITEMS", "SHOWN", "NOT_APPROVED", "NOT_YET", "EXPIRED", "WITHDRAWN"}, rows)
	}
	for _, l := range r.Collections[0].Items[0].Locales {
		rows = append(rows, []string{orOwn(l.Locale), l.State, l.Gets, strconv.Itoa(l.Bytes), moment(l.From), moment(l.Until)})
	}
	return a.table([]string{"LOCALE", "STATE", "GETS", "BYTES", "FROM", "UNTIL"}, rows)
}

// contentStates are in the order of the columns.
var contentStates = []string{"shown", "not_approved", "not_yet", "expired", "withdrawn"}

// apart is a table with an empty line before it.
func (a *app) apart(headings []string, rows [][]string) error {
	if _, err := fmt.Fprintln(a.stdout); err != nil {
		return err
	}
	return a.table(headings, rows)
}

func orOwn(locale string) string {
	if locale == "" {
		return content.GetsOwn
	}
	return printable(locale)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format(time.RFC3339)
}

func (a *app) contentSnippetCommand() *cobra.Command {
	var s content.Snippet
	c := &cobra.Command{
		Use:   "snippet COLLECTION/ID",
		Short: "Print the Connected Content tag that asks for an item, to be pasted into a message",
		Example: `  sluice content snippet banners/spring --url https://content.example.com
  sluice content snippet banners/spring --locale user
  sluice content snippet banners/spring --locale de-AT --save hero | pbcopy`,
		Long: `How long Braze keeps the answer is the collection's cache, and how Braze says who it is the collection's
credential, both from CONTENT_FILE; what the credential is stands in Braze, not in the tag. Where the
collection has a default body its fields follow with what stands in for them; otherwise the message is
aborted where there is nothing to show.

Only the tag is written to the standard output; notes go beside it. Nothing is connected to.`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var err error
			if s.About, err = content.ParseSubject(args[0]); err == nil && s.About.ID == "" {
				err = fmt.Errorf("%q is not COLLECTION/ID", args[0])
			}
			if err != nil {
				return usageError{err}
			}
			return a.contentSnippet(s)
		},
	}
	f := c.Flags()
	f.StringVar(&s.Locale, "locale", "", "a `locale` such as de-AT, or "+content.ReadersLocale+" for the language of whoever gets the message")
	f.StringVar(&s.URL, "url", "", "`address` of the content's host, on port 443 or 80")
	f.StringVar(&s.Save, "save", "content", "`name` of the variable that the answer is kept in")
	f.StringVar(&s.Credential, "credential", "", "`name` of the credential in Braze; sluice_ and the collection's rule when not given")
	f.BoolVar(&s.Headers, "headers", false, "put a header with a placeholder of the token into the tag instead")
	return c
}

func (a *app) contentSnippet(s content.Snippet) error {
	cfg, _, err := a.load()
	if err != nil {
		return err
	}
	rules, err := content.LoadRules(cfg.Content.Content.CollectionsFile)
	if err != nil {
		return err
	}
	if s.Rule = rules.Find(s.About.Collection); s.Rule == nil {
		names := []string{}
		for _, r := range rules {
			names = append(names, r.Name)
		}
		slices.Sort(names)
		return usageError{fmt.Errorf("no rule of CONTENT_FILE names %s; there are %s", s.About.Collection, strings.Join(names, ", "))}
	}
	text, notes, err := s.Tag()
	if err != nil {
		return usageError{err}
	}
	if _, err := fmt.Fprint(a.stdout, text); err != nil {
		return err
	}
	for _, note := range notes {
		a.say("note: %s", note)
	}
	return nil
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/crm-writeback/rules"

	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
)

// writebackFileEnv names the file that crm-writeback runs with.
const writebackFileEnv = "WRITEBACK_FILE"

func (a *app) writebackCommand() *cobra.Command {
	return group("writeback", "Print, check and try a file of what is written back to CRMs",
		`  sluice writeback default > writeback.yaml                a file to begin with
  sluice writeback check writeback.yaml                    is it in order?
  sluice writeback try writeback.yaml --action preferences --user 48213 <<< '{"email":"no"}'`,
		a.writebackCheckCommand(), a.writebackTryCommand(), a.writebackDefaultCommand())
}

func (a *app) writebackDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use: "default", Short: "Print the file that is used where WRITEBACK_FILE is not set",
		Example: "  sluice writeback default > writeback.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(rules.Shipped())
			return err
		},
	}
}

// writebackFile is the file that is named, or the one of the service; "" is the shipped one.
func (a *app) writebackFile(args []string) string {
	file := a.env(writebackFileEnv)
	if len(args) > 0 {
		file = args[0]
	}
	if file == shippedFile {
		return ""
	}
	return file
}

// unset is an environment in which every variable is set that is not set in ours: what the file names need not be there
// to say whether the file is in order.
func (a *app) unset(name string) (string, bool) {
	if value := a.env(name); value != "" || strings.HasSuffix(name, "_FILE") {
		return value, value != ""
	}
	if a.env(name+"_FILE") != "" { // it is set in its other way
		return "", false
	}
	if strings.HasSuffix(name, "URL") {
		return "https://unset.example", true
	}
	return "unset", true
}

func (a *app) writebackCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read a file of what is written back strictly, as crm-writeback does at its start",
		Example: `  sluice writeback check writeback.yaml
  sluice writeback check shipped --json`,
		Long: `Without FILE it is the one that WRITEBACK_FILE names, or the shipped one. Everything that is wrong is named
with its line and with what is allowed (exit code 78). Variables that the file names need not be set.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.writebackCheck(a.writebackFile(args), asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) writebackCheck(file string, asJSON bool) error {
	set, err := rules.LoadWith(file, a.unset)
	if err != nil {
		return err
	}
	if _, err := crmwriteback.BuiltIn.Systems(set); err != nil {
		return err
	}
	type line struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
	targets := []line{}
	for _, t := range set.Targets() {
		targets = append(targets, line{t.Name, t.Kind})
	}
	if asJSON {
		return a.json(map[string]any{"targets": targets})
	}
	words := make([]string, len(targets))
	for i, t := range targets {
		words[i] = t.Name + " (" + t.Kind + ")"
	}
	_, err = fmt.Fprintf(a.stdout, "in order: %d targets: %s\n", len(targets), strings.Join(words, ", "))
	return err
}

// attempt is a record that somebody tries.
type attempt struct{ action, user string }

func (a *app) writebackTryCommand() *cobra.Command {
	var asJSON bool
	var what attempt
	c := &cobra.Command{
		Use:   "try FILE [SAMPLE]",
		Short: "Say what would be written because of one webhook or one engagement event, and send nothing",
		Example: `  sluice writeback try writeback.yaml --action preferences --user 48213 sample.json
  sluice writeback try shipped event.json           an event as Currents sends it`,
		Long: `SAMPLE is a file; standard input without one. With --action it is the body of a webhook of that name, about the
customer of --user; else an engagement event as Currents sends it. What is told is what the rules ask for: what a CRM has
already, and whose field it is, is known only to the running service.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			set, err := rules.LoadWith(a.writebackFile(args[:1]), a.unset)
			if err != nil {
				return err
			}
			sample, err := sampleFrom(c.InOrStdin(), args[1:])
			if err != nil {
				return err
			}
			return a.writebackTry(set, what, sample, asJSON)
		},
	}
	c.Flags().StringVar(&what.action, "action", "", "`name` of the webhook that the sample is the body of")
	c.Flags().StringVar(&what.user, "user", "sample", "external `id` of its customer")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// mostSample bounds what is read of a sample.
const mostSample = 5 << 20

func sampleFrom(from io.Reader, args []string) ([]byte, error) {
	if len(args) > 0 {
		f, err := os.Open(args[0])
		if err != nil {
			return nil, fmt.Errorf("reading the sample: %w", err)
		}
		defer f.Close()
		from = f
	}
	text, err := io.ReadAll(io.LimitReader(from, mostSample))
	if err != nil {
		return nil, fmt.Errorf("reading the sample: %w", err)
	}
	return text, nil
}

func (a *app) writebackTry(set *rules.Set, what attempt, sample []byte, asJSON bool) error {
	var drafts []rules.Draft
	var err error
	if what.action != "" {
		if !jsontext.Value(sample).IsValid() {
			return errors.New("the sample is no JSON")
		}
		drafts, err = set.Action(&event.Action{ID: "sample", Name: what.action, User: event.User{ExternalID: what.user}, OccurredAt: time.Now().UTC(), JSON: sample})
	} else {
		var e event.Engagement
		if e, err = currents.Read(sample, "", time.Now()); err != nil {
			return fmt.Errorf("the sample is no engagement event (--action NAME says that it is a webhook): %w", err)
		}
		drafts, err = set.Engagement(&e)
	}
	if err != nil {
		return err
	}
	type row struct {
		Rule   string         `json:"rule"`
		Target string         `json:"target"`
		Object string         `json:"object"`
		Key    string         `json:"key,omitzero"`
		Mode   string         `json:"mode"`
		Fields jsontext.Value `json:"fields,omitzero"`
		Skip   string         `json:"skipped,omitzero"`
	}
	rows := []row{}
	for _, d := range drafts {
		rows = append(rows, row{d.Rule, d.Target, d.Object, d.Key, d.Mode, d.Fields, d.Skip})
	}
	if asJSON {
		return a.json(rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.stdout, "no rule wants it")
		return err
	}
	table := tabwriter.NewWriter(a.stdout, 0, 0, 3, ' ', 0)
	_, _ = fmt.Fprintln(table, "RULE\tTARGET\tOBJECT\tKEY\tMODE\tFIELDS")
	for _, r := range rows {
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Rule, r.Target, r.Object, orDash(r.Key), r.Mode, orDash(string(r.Fields)+strings.ReplaceAll(r.Skip, "_", " ")))
	}
	return table.Flush()
}

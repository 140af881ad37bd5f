package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/ingest"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

func (a *app) sourcesCommand() *cobra.Command {
	return group("sources", "Check a file of webhook sources, and try it on samples without writing anything",
		`  sluice sources default > sources.yaml       a file to begin with
  sluice sources check sources.yaml           is it in order, and has every source its secret?
  sluice sources test sources.yaml order.http`,
		a.sourcesTestCommand(), a.sourcesCheckCommand(), a.sourcesDefaultCommand())
}

// sourcesFileEnv names the file that ingest runs with.
const sourcesFileEnv = "SOURCES_FILE"

// shippedFile is what a command is given for the file that is built in.
const shippedFile = "shipped"

func (a *app) sourcesDefaultCommand() *cobra.Command {
	return &cobra.Command{
		Use: "default", Short: "Print the file that is used where SOURCES_FILE is not set",
		Example: "  sluice sources default > sources.yaml",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(ingest.ShippedSources())
			return err
		},
	}
}

func (a *app) sourcesCheckCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [FILE]",
		Short: "Read a file of sources strictly, and say which of them would take what they are sent",
		Example: `  sluice sources check sources.yaml
  SHOPIFY_WEBHOOK_SECRETS=shpss_1 sluice sources check shipped`,
		Long: `Without FILE it is the one that SOURCES_FILE names, or the shipped one. Everything that is wrong is
named with its field and with what is allowed (exit code 78). A source without a secret is no mistake:
it is disabled until its secret is there.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			file := a.env(sourcesFileEnv)
			if len(args) > 0 {
				file = args[0]
			}
			return a.sourcesCheck(file, asJSON)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) sourcesCheck(file string, asJSON bool) error {
	sources, err := a.loadSources(file)
	if err != nil {
		return err
	}
	type state struct {
		Source   string `json:"source"`
		Path     string `json:"path"`
		Disabled string `json:"disabled,omitzero"`
	}
	states, rows := []state{}, [][]string{}
	add := func(st state) {
		states = append(states, st)
		word := "ready"
		if st.Disabled != "" {
			word = "disabled: " + st.Disabled
		}
		rows = append(rows, []string{st.Source, st.Path, word})
	}
	for _, s := range sources.All() {
		if s.Calls() {
			add(state{s.Name(), "/v1/hooks/" + s.Name(), s.Disabled()})
		}
		if polling := s.Polling(); polling != nil {
			add(state{s.Name(), polled, polling.Disabled()})
		}
	}
	if asJSON {
		return a.json(states)
	}
	return a.table([]string{"SOURCE", "PATH", "STATE"}, rows)
}

// polled stands in the place of a path where a source is asked and does not call.
const polled = "(polled)"

// loadSources reads a file of sources as ingest would, with the secrets of the environment.
func (a *app) loadSources(file string) (*webhook.Sources, error) {
	if file == shippedFile {
		file = ""
	}
	return ingest.LoadSources(file, func(name string) (string, bool) { v := a.env(name); return v, v != "" }, "")
}

// sourceOf finds the source that a sample is for.
func sourceOf(sources *webhook.Sources, name string, sample *webhook.Request) (*webhook.Source, error) {
	all := sources.All()
	if inPath, ok := strings.CutPrefix(sample.URL.Path, "/v1/hooks/"); ok && name == "" {
		name = inPath
	}
	if name == "" && len(all) == 1 {
		return all[0], nil
	}
	if s := sources.Find(name); s != nil {
		return s, nil
	}
	names := ""
	for _, s := range all {
		names += " " + s.Name()
	}
	if name == "" {
		return nil, usageError{fmt.Errorf("say which source the sample is for with --source; there are:%s", names)}
	}
	return nil, usageError{fmt.Errorf("there is no source %s in the file; there are:%s", name, names)}
}

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/services/ingest"
	"github.com/sluicehq/sluice/services/ingest/webhook"
)

// sourcesTest is a call of sluice sources test.
type sourcesTest struct {
	source  string
	headers []string
	verify  bool
	asJSON  bool
}

func (a *app) sourcesTestCommand() *cobra.Command {
	var st sourcesTest
	c := &cobra.Command{
		Use:   "test FILE SAMPLE...",
		Short: "Show the records that recorded webhooks would become, without writing any",
		Example: `  sluice sources test sources.yaml order.json --source shopify --header 'X-Shopify-Topic: orders/create'
  sluice sources test shipped order.http refund.http      a refund finds its customer by the order before it`,
		Long: `FILE is a file of sources, or "shipped" for the one that is built in. A sample is the body of a webhook
alone, or its headers, an empty line and the body; a first line such as POST /v1/hooks/shopify names the
source, as --source does. Samples go through in their order, so that one can use what another said.

The records are held to what the front door asks of anybody. Where the source's secret is in the
environment the sample's signature is checked too, at the time when it was signed; only with --verify
is one that does not fit a failure. Exit code 1 when a sample would become a dead letter.`,
		Args: cobra.MinimumNArgs(2),
		RunE: func(c *cobra.Command, args []string) error { return a.sourcesTest(c.Context(), st, args[0], args[1:]) },
	}
	c.Flags().StringVar(&st.source, "source", "", "`name` of the source the samples are for")
	c.Flags().StringArrayVar(&st.headers, "header", nil, "`'Name: value'` of a header that the samples do not have; may be repeated")
	c.Flags().BoolVar(&st.verify, "verify", false, "fail where the signature does not fit")
	c.Flags().BoolVar(&st.asJSON, "json", false, "print JSON")
	return c
}

// sampleReport is what became of one sample.
type sampleReport struct {
	Sample    string         `json:"sample"`
	Source    string         `json:"source"`
	Signature string         `json:"signature"` // good, or why not
	Messages  []ingest.Trial `json:"messages"`
}

func (a *app) sourcesTest(ctx context.Context, st sourcesTest, file string, samples []string) error {
	sources, err := a.loadSources(file)
	if err != nil {
		return err
	}
	reports := []sampleReport{}
	found := false
	for _, path := range samples {
		sample, err := st.read(path)
		if err != nil {
			return err
		}
		source, err := sourceOf(sources, st.source, sample)
		if err != nil {
			return err
		}
		r := sampleReport{path, source.Name(), signature(source, sample), ingest.Try(ctx, source, sample)}
		found = found || st.verify && r.Signature != signatureGood
		for _, m := range r.Messages {
			found = found || m.Refused != ""
		}
		reports = append(reports, r)
	}
	if st.asJSON {
		err = a.json(reports)
	} else {
		err = a.showSamples(reports)
	}
	if err == nil && found {
		return errFindings
	}
	return err
}

// read reads a sample, with the headers that were given beside it.
func (st sourcesTest) read(path string) (*webhook.Request, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the sample: %w", err)
	}
	sample, err := webhook.ReadSample(text, time.Now())
	if err != nil {
		return nil, fmt.Errorf("reading the sample %s: %w", path, err)
	}
	for _, header := range st.headers {
		name, value, ok := strings.Cut(header, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usageError{fmt.Errorf("--header %q is not of the form 'Name: value'", header)}
		}
		sample.Header.Set(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return sample, nil
}

const signatureGood = "good"

// signature says whether the sample proves where it comes from. A sample is older than any tolerance,
// so it is looked at as if it had just been signed.
func signature(source *webhook.Source, sample *webhook.Request) string {
	if why := source.Disabled(); why != "" {
		return "not checked: " + why
	}
	fresh := *sample
	if at, ok := source.SignedAt(sample); ok {
		fresh.Received = at
	}
	if err := source.Verify(&fresh); err != nil {
		return err.Error()
	}
	return signatureGood
}

func (a *app) showSamples(reports []sampleReport) error {
	var b strings.Builder
	for _, r := range reports {
		fmt.Fprintf(&b, "%s for %s; signature %s\n", r.Sample, r.Source, r.Signature)
		for _, m := range r.Messages {
			fmt.Fprintf(&b, "  %s, idempotency key %s\n", nameless(m.Kind), m.Key)
			switch {
			case m.Refused != "":
				fmt.Fprintf(&b, "    %s %s: %s\n", a.paint(a.stdout, red, "dead letter"), m.Refused, m.Detail)
			case m.Skipped != "":
				fmt.Fprintf(&b, "    skipped: %s\n", m.Skipped)
			}
			for _, record := range m.Records {
				fmt.Fprintf(&b, "    %s key %s %s\n", a.paint(a.stdout, green, record.Topic), record.Key, record.Value)
			}
		}
	}
	_, err := a.stdout.Write([]byte(b.String()))
	return err
}

// nameless is a message's kind, or a word for one that has none.
func nameless(kind string) string {
	if kind == "" {
		return "a message"
	}
	return kind
}

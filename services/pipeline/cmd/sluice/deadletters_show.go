package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/pipeline/deadletters"
	"github.com/sluicehq/sluice/services/pipeline/replay"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

func (a *app) deadlettersShowCommand() *cobra.Command {
	var raw string
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "Show one dead letter, with the record in it",
		Example: `  sluice deadletters show braze-sender.deadletters/3/17
  sluice deadletters show braze-sender.deadletters/3/17 --raw record.bin`,
		Long: `The ID is TOPIC/PARTITION/OFFSET of the letter, as sluice deadletters list and sluice trace print it.
The record is decoded where its bytes can be read; --raw writes them to a file as they came, or to
standard output with --raw -, and prints nothing else there.

` + where,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			return a.withSite(c, func(ctx context.Context, s *site) error {
				id, err := deadletters.ParseID(args[0], s.Kafka.TopicPrefix)
				if err != nil {
					return usageError{err}
				}
				l, err := deadletters.Find(ctx, s.Cluster, id)
				if err != nil {
					return err
				}
				if raw != "" {
					return a.rawRecord(l, raw)
				}
				return a.showLetter(ctx, s, l, asJSON)
			})
		},
	}
	c.Flags().StringVar(&raw, "raw", "", "write the record's untouched value to this `file`")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) rawRecord(l *deadletters.Letter, file string) error {
	switch {
	case l.Value == nil:
		return errors.New("the letter has no value: the record was a tombstone, or its value was left at its origin")
	case file == "-":
		_, err := a.stdout.Write(l.Value)
		return err
	}
	if err := os.WriteFile(file, l.Value, 0o600); err != nil {
		return fmt.Errorf("writing the record: %w", err)
	}
	a.say("%d bytes written to %s", len(l.Value), file)
	return nil
}

// shown is a letter as JSON has it.
type shown struct {
	ID             replay.Place `json:"id"`
	Service        string       `json:"service"`
	Sink           string       `json:"sink,omitempty"`
	Reason         string       `json:"reason"`
	Detail         string       `json:"detail,omitempty"`
	WrittenAt      time.Time    `json:"written_at"`
	Origin         replay.Place `json:"origin"`
	EventID        string       `json:"event_id,omitempty"`
	Attempts       int          `json:"attempts"`
	FirstAttemptAt time.Time    `json:"first_attempt_at"`
	LastAttemptAt  time.Time    `json:"last_attempt_at"`
	Bytes          int          `json:"bytes"`
	Record         tap.Line     `json:"record"`
	// Text is the value of what is no Avro but text, such as an item of a request.
	Text string `json:"text,omitempty"`
}

func (a *app) showLetter(ctx context.Context, s *site, l *deadletters.Letter, asJSON bool) error {
	render := tap.NewRenderer(s.Schemas)
	render.Expand = true
	line, err := render.Render(ctx, &stream.Record{
		Topic: l.OriginTopic, Partition: l.OriginPartition, Offset: l.OriginOffset, Timestamp: l.AppendedAt,
		Key: l.Key, Value: l.Value, Headers: l.Headers,
	})
	if err != nil {
		return err
	}
	v := shown{
		ID: l.ID, Service: l.Service, Sink: l.Sink, Reason: l.Reason, Detail: l.Detail, WrittenAt: l.At.UTC(), Origin: l.Origin(), EventID: l.EventID,
		Attempts: l.Attempts, FirstAttemptAt: l.FirstAttemptAt.UTC(), LastAttemptAt: l.LastAttemptAt.UTC(), Bytes: len(l.Value), Record: line,
	}
	if line.Unreadable != nil && utf8.Valid(l.Value) && !strings.ContainsRune(string(l.Value), 0) {
		v.Text = string(l.Value)
	}
	if asJSON {
		return a.json(v)
	}
	return a.letterText(v)
}

func (a *app) letterText(v shown) error {
	when := func(t time.Time) string { return t.Format(tap.Millis) }
	rows := [][2]string{
		{"dead letter", v.ID.String()},
		{"service", v.Service},
		{"sink", v.Sink},
		{"reason", v.Reason},
		{"detail", v.Detail},
		{"origin", v.Origin.String() + " of " + v.Record.Timestamp},
		{"event id", v.EventID},
		{"attempts", fmt.Sprintf("%d, from %s to %s", v.Attempts, when(v.FirstAttemptAt), when(v.LastAttemptAt))},
		{"key", keyText(v.Record)},
	}
	headers, err := v.Record.Headers.MarshalJSON()
	if err != nil {
		return fmt.Errorf("showing the headers: %w", err)
	}
	rows = append(rows, [2]string{"headers", string(headers)})
	value := jsontext.Value(v.Record.Value)
	switch {
	case v.Text != "":
		rows = append(rows, [2]string{"value", v.Text})
	case v.Record.Unreadable != nil:
		rows = append(rows, [2]string{"value", fmt.Sprintf("%d bytes, %s: %s; --raw writes them to a file", v.Bytes, v.Record.Unreadable.Reason, v.Record.Unreadable.Detail)})
	default:
		if err := value.Indent(jsontext.WithIndentPrefix("             "), jsontext.WithIndent("  ")); err != nil {
			return fmt.Errorf("showing the record: %w", err)
		}
		rows = append(rows, [2]string{"value", strings.TrimSpace(string(value))})
	}
	for _, r := range rows {
		if r[1] == "" {
			continue
		}
		if _, err := fmt.Fprintf(a.stdout, "%-11s  %s\n", r[0], r[1]); err != nil {
			return err
		}
	}
	return nil
}

func keyText(l tap.Line) string {
	switch {
	case l.Key != nil:
		return *l.Key
	case l.KeyBytes != nil:
		return fmt.Sprintf("%x (no text)", l.KeyBytes)
	}
	return "none"
}

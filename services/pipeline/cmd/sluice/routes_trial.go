package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/services/braze-sender/routes"
	"github.com/sluicehq/sluice/services/pipeline/tap"
)

// routesTest is the shadow run.
func (a *app) routesTest(c *cobra.Command, path string, t trial) error {
	if err := t.check(); err != nil {
		return err
	}
	if !t.againstGiven {
		t.against = a.env(routesFileEnv)
	}
	file, err := routes.Load(path)
	if err != nil {
		return err
	}
	running, err := routes.Load(t.against)
	if err != nil {
		return err
	}
	cfg, _, err := a.load()
	if err != nil {
		return err
	}
	s := newShadow(file, running)
	s.report.File, s.report.Running = fileName(path), fileName(t.against)
	s.pages, s.show = cfg.Sender.Sender.PageEvents, t.show
	out := bufio.NewWriter(a.stdout)
	if t.requests {
		s.each = func(at place, list []request) error { return writeRequests(out, at, list) }
	}
	began := time.Now()
	if t.topic != "" {
		err = a.fromTopic(c, t, s)
	} else {
		err = a.fromLines(c.Context(), t, s)
	}
	if err = errors.Join(err, out.Flush()); err != nil {
		return err
	}
	return a.tellTrial(s.finish(time.Since(began)), t)
}

// writeRequests writes a record's requests, one a line.
func writeRequests(out io.Writer, at place, list []request) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	for _, r := range list {
		if err := e.Encode(struct {
			Record place `json:"record"`
			request
		}{at, r}); err != nil {
			return err
		}
	}
	return nil
}

// fromTopic reads live records, as a reader whom nobody notices.
func (a *app) fromTopic(c *cobra.Command, t trial, s *shadow) error {
	r := stream.Range{}
	var err error
	if t.since != "" {
		if r.Since, err = tap.Moment(t.since, time.Now()); err != nil {
			return usageError{fmt.Errorf("--since: %w", err)}
		}
	}
	return a.withSite(c, func(ctx context.Context, site *site) error {
		r.Topic = site.Kafka.Topic(t.topic)
		if err := known(ctx, site.Kafka, t.topic); err != nil {
			return err
		}
		render := tap.NewRenderer(site.Schemas)
		err := site.Read(ctx, r, func(rec *stream.Record) error {
			line, err := render.Render(ctx, rec)
			if err != nil {
				return err
			}
			at := place{line.Topic, line.Partition, line.Offset, string(rec.Key)}
			if err := s.value(at, line.Value, isBackfill(rec)); err != nil {
				return err
			}
			return t.enough(s)
		})
		if errors.Is(err, stream.ErrStop) {
			return nil
		}
		return err
	})
}

func (t trial) enough(s *shadow) error {
	if t.limit > 0 && s.report.Records >= t.limit {
		return stream.ErrStop
	}
	return nil
}

// value takes a record's value as tap shows it.
func (s *shadow) value(at place, value []byte, backfill bool) error {
	i := slices.IndexFunc(routes.Topics(), func(topic string) bool { return strings.HasSuffix(at.Topic, topic) })
	if i < 0 {
		return fmt.Errorf("a record of %s is not routed; routes are for %s", at.Topic, strings.Join(routes.Topics(), ", "))
	}
	rec, err := routes.ParseRecord(routes.Topics()[i], value)
	if err != nil || len(value) == 0 || value[0] != '{' { // no Avro, a tombstone, or nothing that ours could be
		s.report.Records++
		s.report.Unreadable++
		return nil
	}
	rec.Backfill = backfill
	return s.record(at, rec)
}

// The headers by which braze-sender knows a record that may wait.
const (
	replayedHeader = "replayed-from"
	priorityHeader = "priority"
)

func isBackfill(rec *stream.Record) bool {
	return slices.ContainsFunc(rec.Headers, func(h stream.Header) bool {
		return h.Key == replayedHeader || h.Key == priorityHeader && string(h.Value) == routes.Backfill.String()
	})
}

// recorded is a line of sluice tap, as far as it matters here.
type recorded struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	Key       string `json:"key"`
	Headers   struct {
		Replayed jsontext.Value `json:"replayed-from"`
		Priority jsontext.Value `json:"priority"`
	} `json:"headers"`
	Value jsontext.Value `json:"value"`
}

func (r *recorded) backfill() bool {
	return r.Headers.Replayed != nil || bytes.Contains(r.Headers.Priority, []byte(`"backfill"`)) // one, or a list
}

// maxLine is the longest line that is read, more than a record of Kafka becomes.
const maxLine = 64 << 20

// fromLines reads recorded lines.
func (a *app) fromLines(ctx context.Context, t trial, s *shadow) error {
	ctx, stop := untilInterrupted(ctx)
	defer stop()
	var in io.Reader = os.Stdin
	var size int64
	if t.records != "-" {
		file, err := os.Open(t.records)
		if err != nil {
			return fmt.Errorf("reading records: %w", err)
		}
		defer func() { _ = file.Close() }() // which was only read
		if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		in = file
	}
	bar := a.newBar(size)
	defer bar.clear()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 64<<10), maxLine)
	options := jsonv2.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	var read int64
	for n := 1; lines.Scan(); n++ {
		text := lines.Bytes()
		if read += int64(len(text)) + 1; len(text) == 0 {
			continue
		}
		var line recorded
		if err := jsonv2.Unmarshal(text, &line, options); err != nil || line.Topic == "" || line.Value == nil {
			return fmt.Errorf("reading %s: line %d is none of sluice tap's, such as {\"topic\":\"customer.events\",…,\"value\":{…}}", t.records, n)
		}
		if err := s.value(place{line.Topic, line.Partition, line.Offset, line.Key}, line.Value, line.backfill()); err != nil {
			return fmt.Errorf("reading %s: line %d: %w", t.records, n, err)
		}
		bar.tell(read, s.report.Records)
		if t.enough(s) != nil {
			return nil
		}
		if ctx.Err() != nil {
			return nil // Ctrl-C: what has been read so far is worth a report
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("reading %s: %w", t.records, err)
	}
	return nil
}

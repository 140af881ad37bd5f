package main

import (
	"fmt"
	"strconv"
	"strings"
)

// tellTrial prints what a shadow run has found.
func (a *app) tellTrial(r *report, t trial) error {
	var err error
	switch {
	case t.json:
		err = a.json(r)
	case t.requests:
	default:
		if err = a.tellCounts(r); err == nil {
			err = a.tellSamples(r)
		}
	}
	if err != nil {
		return err
	}
	a.say("%s in %.1f s; against %s: %s added, %s removed, %s changed, %s the same; nothing was sent", counted(r.Records, "record"), r.Seconds, r.Running,
		counted(r.Added, "request"), thousands(r.Removed), thousands(r.Changed), thousands(r.Same))
	if r.Unreadable > 0 {
		a.say("%s cannot be read, whatever the routes", counted(r.Unreadable, "record"))
	}
	if r.Refused > 0 {
		a.say("%s refused: a route fails on %s", counted(r.Refused, "record"), map[bool]string{true: "it", false: "them"}[r.Refused == 1])
		return errFindings
	}
	return nil
}

func (a *app) tellCounts(r *report) error {
	var rows [][]string
	for _, c := range r.Targets {
		rows = append(rows, []string{c.What, orDash(c.Target), strconv.Itoa(c.File), strconv.Itoa(c.Running), signed(c.File - c.Running)})
	}
	if err := a.table([]string{"WHAT", "TARGET", "FILE", "RUNNING", "DIFFERENCE"}, rows); err != nil {
		return err
	}
	rows = nil
	for _, c := range r.Routes {
		name := c.Route
		if name == "" {
			name = "(no route)"
		}
		rows = append(rows, []string{name, strconv.Itoa(c.Records), strconv.Itoa(c.Requests), strconv.Itoa(c.Refused)})
	}
	_, _ = fmt.Fprintln(a.stdout)
	return a.table([]string{"ROUTE", "RECORDS", "REQUESTS", "REFUSED"}, rows)
}

func (a *app) tellSamples(r *report) error {
	colours := map[string]string{added: green, removed: red}
	for _, s := range r.Samples {
		word := s.Change
		if colour := colours[word]; colour != "" {
			word = a.paint(a.stdout, colour, word)
		}
		if _, err := fmt.Fprintf(a.stdout, "\n%s  %s/%d@%d  %s\n", word, s.Record.Topic, s.Record.Partition, s.Record.Offset, s.Record.Key); err != nil {
			return err
		}
		for _, side := range []struct {
			name string
			*request
		}{{"file", s.File}, {"running", s.Running}} {
			if side.request == nil {
				continue
			}
			if _, err := fmt.Fprintf(a.stdout, "  %-7s  %s\n", side.name, describe(*side.request)); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe is a request on two lines: what it is, and what would go over the wire.
func describe(r request) string {
	words := []string{r.What}
	for _, w := range []struct{ name, value string }{{"", r.Target}, {"route ", r.Route}, {"priority ", r.Priority}, {"in doubt ", r.InDoubt}} {
		if w.value != "" && !(w.name == "" && r.Reason == w.value) {
			words = append(words, w.name+w.value)
		}
	}
	text := strings.Join(words, ", ")
	if r.Reason != "" {
		text += ": " + r.Reason
	}
	if r.Call != "" {
		text += strings.TrimRight("\n           "+r.Call+" "+string(r.Body), " ")
	}
	return text
}

func signed(n int) string {
	if n == 0 {
		return "0"
	}
	return fmt.Sprintf("%+d", n)
}

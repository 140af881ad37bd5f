package main

import (
	"bytes"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// opsPaths are what OPS_ADDR answers, as far as pages send anybody there.
var opsPaths = regexp.MustCompile(`^curl -s http://localhost:9090/(readyz|healthz|metrics|debug/pprof/(profile\?seconds=\d+|heap))$`)

// TestCommandsOfRunbooksExist holds every line of a runbook's shell blocks to the commands there are: its flags
// are parsed and its arguments counted, by the commands themselves. At night nobody wants to learn that a page
// is out of date.
func TestCommandsOfRunbooksExist(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "..", "..", "deploy", "runbooks", "*.md"))
	if err != nil || len(pages) < 30 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	checked := 0
	for _, page := range pages {
		for _, line := range shellLines(t, page) {
			checked++
			if opsPaths.MatchString(line) {
				continue
			}
			if problem := wrongWith(line); problem != "" {
				t.Errorf("%s: %s: %s", filepath.Base(page), line, problem)
			}
		}
	}
	if checked < len(pages) {
		t.Errorf("%d commands on %d pages", checked, len(pages))
	}
	for _, wrong := range []string{"sluice sinks paus warehouse", "sluice sinks list --lag", "sluice sinks resume", "sluice curents", "kubectl get pods"} {
		if wrongWith(wrong) == "" {
			t.Errorf("nothing is found wrong with %s", wrong)
		}
	}
}

// shellLines are the lines of a page's shell blocks.
func shellLines(t *testing.T, page string) []string {
	t.Helper()
	return commands(t, page, "sluice", "curl", "kubectl", "docker", "make")
}

// wrongWith says why a line is no command of ours, or is empty.
func wrongWith(line string) string {
	words, ok := splitWords(line)
	if !ok || len(words) < 2 || words[0] != "sluice" {
		return "no command of ours"
	}
	a := &app{stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}
	root := a.root()
	c, rest, err := root.Find(words[1:])
	if err == nil && (c == root || !c.Runnable()) {
		return "no such command"
	}
	if err == nil {
		err = c.ParseFlags(rest)
	}
	if err == nil {
		err = arguments(c)
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func arguments(c *cobra.Command) error {
	if c.Args == nil {
		return nil
	}
	return c.Args(c, c.Flags().Args())
}

// splitWords takes a line apart as a shell does, as far as pages need it: words in double quotes are one.
func splitWords(line string) (words []string, ok bool) {
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words, strings.Count(line, `"`)%2 == 0
}

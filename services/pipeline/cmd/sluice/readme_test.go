package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/pipeline"
)

// commands are the lines of a page's shell blocks that begin with a word.
func commands(t *testing.T, page string, words ...string) []string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, block := range strings.Split(string(text), "```sh\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for line := range strings.Lines(block) {
			for _, word := range words {
				if strings.HasPrefix(line, word+" ") {
					found = append(found, strings.TrimSpace(line))
				}
			}
		}
	}
	return found
}

// TestWhatTheFirstPageSaysWorks runs the commands of the repository's README one after the other, with
// the ports of a process that picks free ones.
func TestWhatTheFirstPageSaysWorks(t *testing.T) {
	t.Parallel()
	list := commands(t, filepath.Join("..", "..", "..", "..", "README.md"), "curl", "bin/sluice")
	want := []string{
		`"accepted":1`, `"accepted":1`, `"accepted":1`, `"accepted":1`, `"accepted":1`, `"accepted":1`,
		"delivered; /users/track answered 201", "muted until", "collector", `"accepted":1`,
	}
	if len(list) != len(want) {
		t.Fatalf("the page has %d commands, want %d: %q", len(list), len(want), list)
	}
	l, err := startPipeline(t.Cleanup, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	places := l.Places()
	printed := []string{l.Curl(), l.OrderCurl(), l.ProfileCurl(), l.CaseCurl(), l.ContentCurl(), l.CurrentsCurl()}
	for i, curl := range printed {
		if said := strings.ReplaceAll(list[i], "http://127.0.0.1:8080", places.Door); said != curl {
			t.Errorf("the page says\n%s\nand sluice run prints\n%s", said, curl)
		}
	}
	for i, command := range list {
		command = strings.ReplaceAll(command, "http://127.0.0.1:8080", places.Door)
		command = strings.Replace(command, "bin/sluice", os.Args[0], 1)
		c := exec.CommandContext(t.Context(), "bash", "-c", command) //nolint:gosec // that is the test
		c.Env = append(append(os.Environ(), beSluice+"=1"), whereIs(l)...)
		out, err := c.CombinedOutput()
		if err != nil || !strings.Contains(string(out), want[i]) {
			t.Fatalf("%s\nprinted %s: %v", command, out, err)
		}
		if i == len(printed)-1 {
			arrived(t, l, 2) // before anybody asks what became of it
			profile := get(t, l.Arrival())
			for _, name := range []string{"Tried Sluice", "ecommerce.order_placed", "84.9", `"tier"`, "promotions_suppressed_until"} {
				if !strings.Contains(profile, name) {
					t.Errorf("%s has no %s: %s", l.Arrival(), name, profile)
				}
			}
		}
	}
	arrived(t, l, 3)
	if _, known := l.Sandbox().Profile("you"); known {
		t.Error("Braze still knows who was erased")
	}
}

// arrived waits until so many records that came in have been settled, and all that was made of them.
func arrived(t *testing.T, l *pipeline.Pipeline, n int) {
	t.Helper()
	if err := untilSettled(t.Context(), l, n); err != nil {
		t.Fatal(err)
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	want := []string{`"accepted":1`, `"accepted":1`, "delivered; /users/track answered 201", `"accepted":1`}
	if len(list) != len(want) {
		t.Fatalf("the page has %d commands, want %d: %q", len(list), len(want), list)
	}
	l, err := startPipeline(t.Cleanup, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	places := l.Places()
	if printed := []string{l.Curl(), l.OrderCurl()}; strings.ReplaceAll(list[0], "http://127.0.0.1:8080", places.Door) != printed[0] ||
		strings.ReplaceAll(list[1], "http://127.0.0.1:8080", places.Door) != printed[1] {
		t.Errorf("the page says\n%s\nand sluice run prints\n%s", strings.Join(list[:2], "\n"), strings.Join(printed, "\n"))
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
		if i == 1 {
			delivered(t, l, 2) // before anybody asks what became of it
			profile := get(t, l.Arrival())
			for _, name := range []string{"Tried Sluice", "ecommerce.order_placed", "84.9"} {
				if !strings.Contains(profile, name) {
					t.Errorf("%s has no %s: %s", l.Arrival(), name, profile)
				}
			}
		}
	}
	delivered(t, l, 3)
	if _, known := l.Sandbox().Profile("you"); known {
		t.Error("Braze still knows who was erased")
	}
}

// delivered waits until so many records have been delivered.
func delivered(t *testing.T, l *pipeline.Pipeline, n int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for l.Law().Delivered < n || l.Law().Held > 0 {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain for %d records: %v", n, l.Law())
		}
	}
}

package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// call runs a command line that ends before a service is opened.
func call(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	c := &command{name: "child", args: args, environ: environ, stdout: &out, stderr: &complaints}
	return c.explain(realMain(t.Context(), c, services["cannot open"])), out.String(), complaints.String()
}

func TestHelpShowsAnExampleAndEveryVariable(t *testing.T) {
	code, help, _ := call(t, []string{}, "-h")
	if code != 0 {
		t.Errorf("it exits %d", code)
	}
	_, help, _ = strings.Cut(help, "\n") // the version
	path := filepath.Join("testdata", "help.txt")
	if os.Getenv("GOLDEN") == "write" {
		if err := os.WriteFile(path, []byte(help), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), help); diff != "" {
		t.Error(diff)
	}
}

func TestVersionNamesTheProgramAndGo(t *testing.T) {
	code, out, _ := call(t, []string{}, "--version")
	if code != 0 || !strings.HasPrefix(out, "child ") || !strings.Contains(out, "go1.") {
		t.Errorf("it exits %d and says %q", code, out)
	}
}

func TestPrintConfigShowsOriginsAndNoSecrets(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sluice.yaml")
	// One file serves every binary: braze and simulate are not this one's.
	if err := os.WriteFile(file, []byte("braze: {linger: 1s}\nsimulate: {}\nsender:\n  size: 3\nlog: {level: warn}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for form, want := range map[string][]string{
		"--print-config":       {"  size: 3 # " + file + ":4", `  # key: "set" # env CHILD_KEY`, `drain_timeout: "25s" # default`},
		"--print-config=table": {"sender.size    3      " + file + ":4"},
		"--print-config=json":  {`"origin": "env CHILD_KEY"`},
	} {
		t.Run(form, func(t *testing.T) {
			code, out, complaints := call(t, []string{"CHILD_KEY=hunter2"}, "--config", file, form)
			if code != 0 || complaints != "" {
				t.Errorf("it exits %d and complains %q", code, complaints)
			}
			for _, line := range want {
				if !strings.Contains(out, line) {
					t.Errorf("no %q in\n%s", line, out)
				}
			}
			if strings.Contains(out, "hunter2") {
				t.Error("it tells the secret")
			}
		})
	}
	if code, _, complaints := call(t, nil, "--print-config=xml"); code != 2 || !strings.Contains(complaints, "yaml, json or table") {
		t.Errorf("an unknown form exits %d with %q", code, complaints)
	}
}

func TestCheckConfigSaysThatAllIsInOrder(t *testing.T) {
	code, out, _ := call(t, []string{"CHILD_KEY=x"}, "--check-config")
	if code != 0 || out != "the configuration is in order\n" {
		t.Errorf("it exits %d and says %q", code, out)
	}
}

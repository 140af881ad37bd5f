package pgtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// TestAJanitorLeavesStrangersAlone: the number in a dead server's file may be that of another process by now.
func TestAJanitorLeavesStrangersAlone(t *testing.T) {
	t.Parallel()
	stranger := exec.CommandContext(t.Context(), "cat")
	hold, err := stranger.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "server")
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	stale := strconv.Itoa(stranger.Process.Pid) + "\n" + filepath.Join(dir, "data") + "\n"
	if err := os.WriteFile(filepath.Join(dir, "data", "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := watch(dir, account{})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.dismiss(); err != nil {
		t.Errorf("the janitor ends with %v", err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the folder is left: %v", err)
	}
	if err := hold.Close(); err != nil {
		t.Fatal(err)
	}
	if err := stranger.Wait(); err != nil {
		t.Errorf("the stranger has come to harm: %v", err)
	}
}

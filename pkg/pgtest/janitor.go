package pgtest

import (
	"fmt"
	"io"
	"os/exec"
)

// janitor waits at a pipe that the kernel closes when this process ends, be it by SIGKILL, and then ends the server and
// removes its folder. A signal at the parent's death would end the server only on Linux, and nobody would be left to
// remove the folder.
//
// SIGQUIT, the immediate shutdown, is the quickest that still gives back the server's shared memory.
//
// The file that names the process may be a dead server's, and the number another process's by now: only one that was
// started with this folder is ended.
const janitorScript = `
dir=$1
cat >/dev/null
pid=$(head -n 1 "$dir/data/postmaster.pid" 2>/dev/null)
runs() {
  [ -n "$pid" ] || return 1
  if [ -r "/proc/$pid/cmdline" ]; then
    tr '\000' ' ' <"/proc/$pid/cmdline" 2>/dev/null
  else
    ps -o args= -p "$pid" 2>/dev/null
  fi | grep -qF -e "-D $dir/data "
}
if runs; then
  kill -QUIT "$pid" 2>/dev/null
  tries=50
  while [ $tries -gt 0 ] && runs; do sleep 0.1; tries=$((tries - 1)); done
  runs && kill -KILL "$pid" 2>/dev/null
fi
tries=50
while [ $tries -gt 0 ] && ! rm -rf "$dir" 2>/dev/null; do sleep 0.1; tries=$((tries - 1)); done
`

type janitor struct {
	cmd  *exec.Cmd
	pipe io.Closer
}

// watch sets a janitor over a server's folder.
func watch(dir string, who account) (*janitor, error) {
	cmd := exec.Command("/bin/sh", "-c", janitorScript, "pgtest-janitor", dir) //nolint:noctx // outlives everything
	cmd.SysProcAttr = who.attributes()
	cmd.Dir = "/"
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("making the janitor's pipe: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the janitor: %w", err)
	}
	return &janitor{cmd, pipe}, nil
}

// dismiss returns when it has done its work.
func (j *janitor) dismiss() error {
	_ = j.pipe.Close()
	return j.cmd.Wait()
}

package pgtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// readyLimit is how long a server may take from its first process to its first answer. Two busy cores need a tenth of it.
const readyLimit = 60 * time.Second

// settings give up what a crash of the machine would cost, and keep what one of the server must not: synchronous_commit stays
// on, for without it a killed server forgets what it acknowledged.
var settings = []string{
	"listen_addresses=", // only the socket: no port can be taken by somebody else
	"fsync=off", "full_page_writes=off",
	"shared_buffers=64MB", "max_connections=200",
	"dynamic_shared_memory_type=mmap", // within the folder, so that a killed server leaves nothing elsewhere
	"log_min_messages=warning", "timezone=UTC",
}

// Config says which server to start. The zero value is one of the default version under the system's temporary folder.
type Config struct {
	Version string // empty means TEST_POSTGRES_VERSION, else [DefaultVersion]
	// Settings are added to this package's and override them, such as "max_connections=5".
	Settings []string
	// Progress, when set, is told of steps that take long, such as fetching the programs.
	Progress func(step string)
}

// Server is a running PostgreSQL. Its methods may be called from several goroutines.
type Server struct {
	cfg      Config
	who      account
	dir      string
	programs string
	janitor  *janitor

	mu   sync.Mutex
	done chan struct{} // closed when the newest process is gone
	cmd  *exec.Cmd

	closing sync.Once
	closed  error
}

// Start brings up a server and returns when it answers. An error ends in the last lines of its log.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Version == "" {
		cfg.Version = os.Getenv(EnvVersion)
	}
	if cfg.Version == "" {
		cfg.Version = DefaultVersion
	}
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	who, err := findAccount()
	if err != nil {
		return nil, &UnavailableError{err}
	}
	cached, err := programs(ctx, cfg.Version, cfg.Progress)
	if err != nil {
		return nil, &UnavailableError{err}
	}
	s := &Server{cfg: cfg, who: who}
	began := time.Now()
	if err := s.start(ctx, cached); err != nil {
		return nil, errors.Join(fmt.Errorf("starting postgres %s: %w", cfg.Version, err), s.Close())
	}
	cfg.Progress(fmt.Sprintf("postgres: real %s, started in %.1f s", cfg.Version, time.Since(began).Seconds()))
	return s, nil
}

func (s *Server) start(ctx context.Context, cached string) error {
	dir, err := os.MkdirTemp("", "pgtest-")
	if err != nil {
		return fmt.Errorf("making the server's folder: %w", err)
	}
	s.dir = dir
	if err := s.who.own(dir); err != nil {
		return fmt.Errorf("handing over the server's folder: %w", err)
	}
	if s.janitor, err = watch(dir, s.who); err != nil {
		return err
	}
	if s.programs, err = s.who.reachable(cached, filepath.Join(dir, "programs")); err != nil {
		return err
	}
	initdb := exec.CommandContext(ctx, filepath.Join(s.programs, "bin", "initdb"), "-D", s.data(), "-U", "postgres",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	initdb.SysProcAttr = s.who.attributes()
	initdb.Dir = dir
	initdb.WaitDelay = time.Second
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("laying out the data: %w\n%s", err, out)
	}
	return s.Restart(ctx)
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "server.log") }

// DSN is the connection string of the superuser and the database "postgres". The socket is a file in the server's folder
// and stays the same over restarts.
func (s *Server) DSN() string {
	return (&url.URL{Scheme: "postgres", User: url.User("postgres"), Host: "", Path: "/postgres", RawQuery: url.Values{"host": {s.dir}}.Encode()}).String()
}

// Kill ends the server with SIGKILL, as a crash would, and returns when its main process is gone. The processes of its
// connections see that and end a moment later. A server that is down stays down.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Stop ends the server at once, but so that it tells its clients (SIGQUIT, the immediate shutdown).
func (s *Server) Stop() error { return s.end(syscall.SIGQUIT) }

func (s *Server) end(how syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return nil
	}
	if err := s.cmd.Process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("ending the server: %w", err)
	}
	<-s.done
	s.cmd = nil
	return nil
}

// Restart starts a server that is down, on the same data, and returns when it answers. A killed one first
// recovers from its log.
func (s *Server) Restart(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("no answer after %v", readyLimit))
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	if err := s.launch(); err != nil {
		return err
	}
	for {
		err := execute(ctx, s.DSN(), "SELECT")
		if err == nil {
			return nil
		}
		if s.exited() {
			// Until the last process of a killed server has ended, a new one refuses to start.
			if !strings.Contains(s.log(), "pre-existing shared memory block") {
				return fmt.Errorf("it ended: %w; its log ends:\n%s", err, s.log())
			}
			if err := s.launch(); err != nil {
				return err
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%w (last answer: %w); its log ends:\n%s", context.Cause(ctx), err, s.log())
		}
	}
}

// exited says that the newest process has ended by itself.
func (s *Server) exited() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd == nil {
		return false
	}
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

// launch starts the process where none runs.
func (s *Server) launch() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cmd != nil {
		select {
		case <-s.done:
		default:
			return nil
		}
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the server's log: %w", err)
	}
	defer log.Close() // the child has its own copy
	args := []string{"-D", s.data(), "-k", s.dir}
	for _, setting := range append(settings[:len(settings):len(settings)], s.cfg.Settings...) {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(s.programs, "bin", "postgres"), args...) //nolint:noctx // lives until it is ended
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = s.dir
	cmd.SysProcAttr = s.who.attributes()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	s.cmd, s.done = cmd, make(chan struct{})
	go func(done chan struct{}) {
		_ = cmd.Wait()
		close(done)
	}(s.done)
	return nil
}

// log is the end of what the server said.
func (s *Server) log() string {
	content, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	const lines = 50
	all := strings.Split(string(bytes.TrimRight(content, "\n")), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Close ends the server and removes its folder. Calling it again does nothing.
func (s *Server) Close() error {
	s.closing.Do(func() {
		s.closed = s.Stop()
		if s.janitor != nil {
			s.closed = errors.Join(s.closed, s.janitor.dismiss())
		}
		if s.dir != "" {
			s.closed = errors.Join(s.closed, os.RemoveAll(s.dir))
		}
	})
	return s.closed
}

package kafkatest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Versions of Apicurio Registry. From 3.2.1 on it needs Java 21; 3.3 is the first to answer as Confluent's registry
// does, an older one says compatibilityLevel where that says compatibility.
const (
	DefaultRegistryVersion = "3.3.3"
	Java17RegistryVersion  = "3.2.0"
)

// registryMainJar is where an unpacked Apicurio starts.
const registryMainJar = "quarkus-run.jar"

// RegistryConfig says which registry to start. The zero value is right for tests.
type RegistryConfig struct {
	// Version of Apicurio; empty means [DefaultRegistryVersion] where a Java 21 or newer is installed, else
	// [Java17RegistryVersion].
	Version string
	// WorkDir is the folder in which the registry makes its own; empty means the system's temporary folder.
	WorkDir string
	// Keep lets the registry outlive this process. Without it it dies with it, however it ends (on Linux).
	Keep bool
	// Progress, when set, is told of steps that take long and happen once.
	Progress func(step string)

	archiveTo string // as in Config
	findPorts func(ctx context.Context, n int) ([]int, error)
}

// Registry is a running schema registry with its schemas in memory. Its global rule is BACKWARD_TRANSITIVE.
type Registry struct {
	cfg  RegistryConfig
	dir  string
	port int
	ops  int // port of health
	proc *process
	took time.Duration

	closing sync.Once
	closed  error
}

// StartRegistry brings up a registry and returns when it has registered a schema and given the same id for it again.
// It waits at most 90 s, fetching not included. An error ends in the last hundred lines of the registry's log.
func StartRegistry(ctx context.Context, cfg RegistryConfig) (*Registry, error) {
	if cfg.Progress == nil {
		cfg.Progress = func(string) {}
	}
	if cfg.findPorts == nil {
		cfg.findPorts = freePorts
	}
	java, err := findJava(21)
	newest := DefaultRegistryVersion
	if err != nil {
		newest = Java17RegistryVersion
		if java, err = findJava(17); err != nil {
			return nil, &UnavailableError{err}
		}
	}
	if cfg.Version == "" {
		cfg.Version = newest
	}
	app, err := apicurioApp(ctx, cfg.Version, cfg.Progress)
	if err != nil {
		return nil, &UnavailableError{err}
	}
	jar, err := findMainJar(app)
	if err != nil {
		return nil, err
	}
	archive := ""
	if cfg.archiveTo == "" {
		archive = registryArchive(ctx, java, app, jar, cfg)
	}

	const tries = 3
	for try := 1; ; try++ {
		r := &Registry{cfg: cfg}
		err := r.start(ctx, java, jar, archive)
		if err == nil {
			return r, nil
		}
		clash := strings.Contains(tail(r.logFile(), logLines), "in use by another process")
		err = errors.Join(err, r.Close())
		if !clash || try == tries || ctx.Err() != nil {
			return nil, fmt.Errorf("starting apicurio %s: %w", cfg.Version, err)
		}
	}
}

func (r *Registry) start(ctx context.Context, java javaHome, jar, archive string) error {
	began := time.Now()
	dir, err := os.MkdirTemp(r.cfg.WorkDir, "kafkatest-registry-")
	if err != nil {
		return fmt.Errorf("making the registry's folder: %w", err)
	}
	r.dir = dir
	ports, err := r.cfg.findPorts(ctx, 2)
	if err != nil {
		return err
	}
	r.port, r.ops = ports[0], ports[1]

	r.proc, err = startProcess(processConfig{
		Path: java.bin(),
		Args: append(quickJVM(archive, r.cfg.archiveTo),
			"-Xmx384m",
			"-Djava.io.tmpdir="+dir,
			"-Dquarkus.http.host=127.0.0.1", fmt.Sprintf("-Dquarkus.http.port=%d", r.port),
			"-Dquarkus.management.host=127.0.0.1", fmt.Sprintf("-Dquarkus.management.port=%d", r.ops),
			"-Dapicurio.datasource.jdbc.initial-size=2", "-Dapicurio.datasource.jdbc.min-size=2", // of twenty
			"-Dapicurio.rules.global.compatibility=BACKWARD_TRANSITIVE",
			"-Dapicurio.rest.deletion.group.enabled=true",
			"-Dapicurio.rest.deletion.artifact.enabled=true",
			"-Dapicurio.rest.deletion.artifact-version.enabled=true",
			"-jar", jar),
		Dir:  dir,
		Log:  r.logFile(),
		Keep: r.cfg.Keep,
	})
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeoutCause(ctx, readyLimit, fmt.Errorf("not ready after %v", readyLimit))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-r.proc.done:
			stop(&endedError{what: "the registry", how: r.proc.err})
		case <-ctx.Done():
		}
	}()
	if err := poll(ctx, askEvery, r.check); err != nil {
		return fmt.Errorf("%w\nthe registry's log ends:\n%s", err, tail(r.logFile(), logLines))
	}
	r.took = time.Since(began)
	return nil
}

// check asks for health, for the global rule, and for the round trip of one schema, whose traces it removes.
func (r *Registry) check(ctx context.Context) error {
	if err := r.ask(ctx, http.MethodGet, "http://"+addr(r.ops)+"/health/ready", "", nil); err != nil {
		return err
	}
	var config struct{ CompatibilityLevel string }
	if err := r.ask(ctx, http.MethodGet, r.URL()+"/config", "", &config); err != nil {
		return err
	}
	if config.CompatibilityLevel != "BACKWARD_TRANSITIVE" {
		return fmt.Errorf("the global rule is %q", config.CompatibilityLevel)
	}

	const subject, schema = "/subjects/kafkatest-ready-value", `{"schema": "\"string\""}`
	var first, again struct{ ID int }
	if err := r.ask(ctx, http.MethodPost, r.URL()+subject+"/versions", schema, &first); err != nil {
		return err
	}
	if err := r.ask(ctx, http.MethodPost, r.URL()+subject+"/versions", schema, &again); err != nil {
		return err
	}
	if first != again || first.ID == 0 {
		return fmt.Errorf("one schema got the ids %d and %d", first.ID, again.ID)
	}
	if err := r.ask(ctx, http.MethodDelete, r.URL()+subject, "", nil); err != nil {
		return err
	}
	return r.ask(ctx, http.MethodDelete, r.URL()+subject+"?permanent=true", "", nil)
}

// ask makes one request and reads the JSON of a 200 into answer; any other status is an error.
func (r *Registry) ask(ctx context.Context, method, url, body string, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("asking the registry: %w", err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("asking the registry: %w", err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("reading the registry's answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, bytes.TrimSpace(got))
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(got, answer); err != nil {
		return fmt.Errorf("decoding the registry's answer: %w", err)
	}
	return nil
}

// URL is the base of the Confluent API, without a slash at the end.
func (r *Registry) URL() string { return "http://" + addr(r.port) + "/apis/ccompat/v7" }

// Version of Apicurio that runs.
func (r *Registry) Version() string { return r.cfg.Version }

// Dir is the folder that holds the registry's log.
func (r *Registry) Dir() string { return r.dir }

// PID is the registry's process id.
func (r *Registry) PID() int { return r.proc.pid() }

// Took is how long the start was. Fetching is not in it.
func (r *Registry) Took() time.Duration { return r.took }

func (r *Registry) logFile() string { return filepath.Join(r.dir, "registry.log") }

// Close kills the registry, whose schemas are gone with it, and removes its folder. Calling it again does nothing.
func (r *Registry) Close() error {
	r.closing.Do(func() {
		var errs []error
		if r.proc != nil {
			errs = append(errs, r.proc.kill())
		}
		if r.dir != "" {
			errs = append(errs, os.RemoveAll(r.dir))
		}
		r.closed = errors.Join(errs...)
	})
	return r.closed
}

// findMainJar looks at the top, where 3.3 has it, and one folder down, where older ones do.
func findMainJar(app string) (string, error) {
	for _, pattern := range []string{registryMainJar, "*/" + registryMainJar} {
		if found, _ := filepath.Glob(filepath.Join(app, pattern)); len(found) > 0 {
			return found[0], nil
		}
	}
	return "", fmt.Errorf("no %s in %s: remove the folder to have it fetched again", registryMainJar, app)
}

// registryArchive is the registry's class archive, as brokerArchive is the broker's.
func registryArchive(ctx context.Context, java javaHome, app, jar string, cfg RegistryConfig) string {
	path := archivePath(app, java, jar)
	err := cached(ctx, path, func(tmp string) (string, error) {
		cfg.Progress("registry: archiving its classes, once per JVM")
		made := filepath.Join(tmp, "classes.jsa")
		r, err := StartRegistry(ctx, RegistryConfig{Version: cfg.Version, WorkDir: tmp, archiveTo: made})
		if err != nil {
			return "", err
		}
		defer r.Close()
		return made, r.proc.stop(archiveLimit)
	})
	if err != nil {
		cfg.Progress("registry: going on without a class archive: " + firstLine(err))
		return ""
	}
	return path
}

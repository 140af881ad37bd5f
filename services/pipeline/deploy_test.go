package pipeline_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/ingest"
	"github.com/sluicehq/sluice/services/pipeline"
)

const root = "../.."

// compose reads docker-compose.yml as the tool itself would, without an engine.
func compose(t *testing.T, environment types.Mapping) (*types.Project, error) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "docker-compose.yml"))
	if err != nil {
		t.Fatal(err)
	}
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  filepath.Dir(path),
		ConfigFiles: []types.ConfigFile{{Filename: path}},
		Environment: environment,
	}, func(o *loader.Options) { o.SetProjectName("sluice", true) })
}

// composeEnvironment is what a user has to give; the loader adds to what it is handed.
func composeEnvironment() types.Mapping {
	return types.Mapping{
		"INGEST_KEYS": "shop:a-long-random-key", "BRAZE_REST_ENDPOINT": "https://rest.fra-01.braze.eu", "BRAZE_API_KEY": "key",
	}
}

// TestComposeStartsEveryServiceThereIs holds the file to the services in the tree, their Dockerfile
// argument, and variables that the services really read.
func TestComposeStartsEveryServiceThereIs(t *testing.T) {
	project, err := compose(t, composeEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range config.Fields[pipeline.Config]() {
		known[f.Env] = true
	}
	for _, secret := range regexp.MustCompile(`secret_env: (\w+)`).FindAllSubmatch(ingest.ShippedSources(), -1) {
		known[string(secret[1])] = true
	}
	mains, err := filepath.Glob(filepath.Join(root, "services/*/cmd/*/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	for _, main := range mains {
		name := filepath.Base(filepath.Dir(main))
		if strings.Contains(main, "services/pipeline/") {
			continue // the command line, not a service
		}
		s, ok := project.Services[name]
		if !ok {
			t.Errorf("%s is not started", name)
			continue
		}
		started++
		if s.Build == nil || s.Build.Args["SERVICE"] == nil || *s.Build.Args["SERVICE"] != name {
			t.Errorf("%s: the Dockerfile's argument SERVICE is not its name", name)
		} else if _, err := os.Stat(filepath.Join(s.Build.Context, s.Build.Dockerfile)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for variable := range s.Environment {
			if !known[variable] {
				t.Errorf("%s: no service reads %s", name, variable)
			}
		}
		for dependency := range s.DependsOn {
			if project.Services[dependency].HealthCheck == nil {
				t.Errorf("%s waits for %s, which has no health check", name, dependency)
			}
		}
	}
	if started < 2 {
		t.Fatalf("%d services are started", started)
	}
	for _, s := range project.Services {
		for _, p := range s.Ports {
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s: port %s is open to everyone", s.Name, p.Published)
			}
		}
	}
}

func TestComposeAsksForWhatItCannotInvent(t *testing.T) {
	for missing := range composeEnvironment() {
		environment := composeEnvironment()
		delete(environment, missing)
		if _, err := compose(t, environment); err == nil || !strings.Contains(err.Error(), missing) {
			t.Errorf("without %s: %v", missing, err)
		}
	}
}

// What a user may set reaches the service that reads it, and the folder for files is where it is said
// to be.
func TestComposePassesOnWhatMayBeSet(t *testing.T) {
	optional := map[string][]string{
		"SHOPIFY_WEBHOOK_SECRETS": {"ingest"}, "STRIPE_WEBHOOK_SECRETS": {"ingest"}, "ZENDESK_WEBHOOK_SECRETS": {"ingest"}, "SOURCES_FILE": {"ingest"},
		"FIELDS_FILE": {"attribute-sync"}, "ROUTES_FILE": {"braze-sender"}, "SINKS_FILE": {"currents-fanout"},
		"CONTENT_FILE": {"content-cacher", "braze-sender"}, "BRAZE_CURRENTS_TOKENS": {"ingest"},
	}
	environment := composeEnvironment()
	for variable := range optional {
		environment[variable] = "/etc/sluice/" + variable
	}
	project, err := compose(t, environment)
	if err != nil {
		t.Fatal(err)
	}
	for variable, names := range optional {
		for _, name := range names {
			s := project.Services[name]
			if v := s.Environment[variable]; v == nil || *v != environment[variable] {
				t.Errorf("%s does not get %s", name, variable)
			}
			if len(s.Volumes) == 0 || s.Volumes[0].Target != "/etc/sluice" || !s.Volumes[0].ReadOnly {
				t.Errorf("%s sees the folders %v, want the one for files first, to read", name, s.Volumes)
			} else if _, err := os.Stat(s.Volumes[0].Source); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if project, err = compose(t, composeEnvironment()); err != nil {
		t.Fatal(err)
	}
	for variable, names := range optional {
		for _, name := range names {
			if v := project.Services[name].Environment[variable]; v == nil || *v != "" {
				t.Errorf("%s: %s is not empty where nobody has set it", name, variable)
			}
		}
	}
}

// Who keeps a local copy of state keeps it on a volume of its own, so that a new container need not read
// everything from Kafka; and nobody else has one.
func TestComposeKeepsLocalCopiesOnVolumes(t *testing.T) {
	project, err := compose(t, composeEnvironment())
	if err != nil {
		t.Fatal(err)
	}
	owner := map[string]string{}
	for _, s := range project.Services {
		if s.Name == "kafka" {
			continue
		}
		dir := ""
		if v := s.Environment["STATE_DIR"]; v != nil {
			dir = *v
		}
		var volumes []types.ServiceVolumeConfig
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeVolume {
				volumes = append(volumes, v)
			}
		}
		switch {
		case dir == "" && len(volumes) == 0:
		case len(volumes) != 1 || volumes[0].Target != dir:
			t.Errorf("%s keeps its state in %q and has the volumes %v", s.Name, dir, volumes)
		case owner[volumes[0].Source] != "":
			t.Errorf("%s and %s share the volume %s", s.Name, owner[volumes[0].Source], volumes[0].Source)
		default:
			owner[volumes[0].Source] = s.Name
		}
	}
	for _, name := range []string{"attribute-sync", "braze-sender", "currents-fanout", "content-cacher", "crm-writeback"} {
		if project.Services[name].Environment["STATE_DIR"] == nil {
			t.Errorf("%s keeps its local copies nowhere", name)
		}
	}
}

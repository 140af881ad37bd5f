package braze_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/quota"
)

// service is a configuration that holds ours under its section, as services do.
type service struct {
	Braze braze.Config `yaml:"braze"`
}

func TestConfigIsReadFromTheEnvironment(t *testing.T) {
	got, _, err := config.Load[service](config.Options{Environ: []string{
		"BRAZE_REST_ENDPOINT=https://rest.fra-01.braze.eu/", "BRAZE_API_KEY=k-1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := braze.Config{
		Endpoint: "https://rest.fra-01.braze.eu/", APIKey: "k-1", MaxObjects: 75,
		Rate: quota.Rate{Count: 3000, Per: 3 * time.Second}, Timeout: 30 * time.Second,
	}
	if diff := cmp.Diff(want, got.Braze); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
	got, _, err = config.Load[service](config.Options{Environ: []string{
		"BRAZE_REST_ENDPOINT=http://127.0.0.1:8090", "BRAZE_API_KEY=k-1", "BRAZE_MAX_OBJECTS=50",
		"BRAZE_LEGACY_ARRAYS=true", "BRAZE_RATE=100/s", "BRAZE_TIMEOUT=5s",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want = braze.Config{
		Endpoint: "http://127.0.0.1:8090", APIKey: "k-1", MaxObjects: 50, LegacyArrays: true,
		Rate: quota.Rate{Count: 100, Per: time.Second}, Timeout: 5 * time.Second,
	}
	if diff := cmp.Diff(want, got.Braze); diff != "" {
		t.Errorf("set values (-want +got):\n%s", diff)
	}
}

func TestConfigNamesTheFieldThatIsWrong(t *testing.T) {
	good := []string{"BRAZE_REST_ENDPOINT=https://rest.fra-01.braze.eu", "BRAZE_API_KEY=secret-k"}
	tests := []struct {
		name string
		env  []string
		want string
	}{
		{"no endpoint", []string{"BRAZE_API_KEY=secret-k"}, "BRAZE_REST_ENDPOINT"},
		{"no key", good[:1], "BRAZE_API_KEY"},
		{"an endpoint that is no address", []string{"BRAZE_REST_ENDPOINT=rest.fra-01", good[1]}, "BRAZE_REST_ENDPOINT"},
		{"too many objects", append(good[:2:2], "BRAZE_MAX_OBJECTS=76"), "BRAZE_MAX_OBJECTS"},
		{"a rate that is none", append(good[:2:2], "BRAZE_RATE=fast"), "BRAZE_RATE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := config.Load[service](config.Options{Environ: tt.env})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one that names %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret-k") {
				t.Errorf("the error tells the key: %v", err)
			}
		})
	}
}

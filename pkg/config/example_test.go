package config_test

import (
	"fmt"
	"os"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// A service's configuration says everything about itself in tags.
type senderConfig struct {
	Braze struct {
		Endpoint string        `yaml:"endpoint" env:"BRAZE_REST_ENDPOINT" required:"true" doc:"the workspace's REST endpoint"`
		Key      config.Secret `yaml:"api_key" env:"BRAZE_API_KEY" required:"true" doc:"REST API key"`
		Linger   time.Duration `yaml:"linger" env:"BRAZE_LINGER" default:"200ms" min:"0s" max:"10s" doc:"longest wait of a lone object for company"`
	} `yaml:"braze"`
}

// Validate says what tags cannot.
func (c senderConfig) Validate() error {
	if c.Braze.Endpoint == "https://dashboard.braze.com" {
		return config.Problem{Field: "braze.endpoint", Value: c.Braze.Endpoint, Allowed: "the REST endpoint, not the dashboard"}
	}
	return nil
}

func Example() {
	c, report, err := config.Load[senderConfig](config.Options{Environ: []string{
		"BRAZE_REST_ENDPOINT=https://rest.fra-01.braze.eu", "BRAZE_API_KEY=not-for-your-eyes", "BRAZE_LINGER=50ms",
	}})
	if err != nil {
		fmt.Println(err)
		os.Exit(config.ExitCode)
	}
	fmt.Println("waiting", c.Braze.Linger)
	_ = report.Table(os.Stdout)
	// Output:
	// waiting 50ms
	// FIELD           VALUE                         ORIGIN
	// braze.endpoint  https://rest.fra-01.braze.eu  env BRAZE_REST_ENDPOINT
	// braze.api_key   set                           env BRAZE_API_KEY
	// braze.linger    50ms                          env BRAZE_LINGER
}

func ExampleProblems() {
	_, _, err := config.Load[senderConfig](config.Options{Environ: []string{
		"BRAZE_REST_ENDPOINT=https://dashboard.braze.com", "BRAZE_LINGER=a while",
	}})
	fmt.Println(err)
	// Output:
	// braze.linger (BRAZE_LINGER): "a while"; allowed: a duration such as 200ms or 1m30s, from 0s to 10s
	// braze.api_key (BRAZE_API_KEY): required; set braze.api_key, braze.api_key_file, BRAZE_API_KEY or BRAZE_API_KEY_FILE
	// braze.endpoint (BRAZE_REST_ENDPOINT): "https://dashboard.braze.com"; allowed: the REST endpoint, not the dashboard
}

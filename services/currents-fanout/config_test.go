package currentsfanout_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/config"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

func TestADrainThatWouldOutlastTheProcessIsRefusedAtTheStart(t *testing.T) {
	t.Parallel()
	needed := []string{"KAFKA_BROKERS=x:1", "SCHEMA_REGISTRY_URL=http://x"}
	for name, c := range map[string]struct {
		environ []string
		want    string
	}{
		"as it comes":       {nil, ""},
		"less":              {[]string{"FANOUT_DRAIN=4s", "DRAIN_TIMEOUT=5s"}, ""},
		"as much":           {[]string{"FANOUT_DRAIN=5s", "DRAIN_TIMEOUT=5s"}, `fanout.drain (FANOUT_DRAIN): "5s"; allowed: less than DRAIN_TIMEOUT, which is 5s`},
		"the default":       {[]string{"DRAIN_TIMEOUT=5s"}, `fanout.drain (FANOUT_DRAIN): "10s"; allowed: less than DRAIN_TIMEOUT, which is 5s`},
		"nobody is to wait": {[]string{"DRAIN_TIMEOUT=0s"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := config.Load[currentsfanout.Config](config.Options{Environ: slices.Concat(needed, c.environ)})
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("the error is %v, want %s", err, c.want)
			}
		})
	}
}

package kafkasink_test

import (
	"os"
	"strings"
	"testing"

	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
	"github.com/sluicehq/sluice/services/currents-fanout/kafkasink"
)

// The sinks.yaml in KAFKA.md is one that can be used as it stands.
func TestTheExampleCanBeUsedAsItStands(t *testing.T) {
	text, err := os.ReadFile("../KAFKA.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := currentsfanout.Kinds{"kafka": currentsfanout.KindOf[kafkasink.Options](kafkasink.Open)}
	environment := func(name string) (string, bool) { return "value", !strings.HasSuffix(name, "_FILE") }
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	file, err := kinds.Parse("KAFKA.md", []byte(example), environment)
	if err != nil {
		t.Fatalf("%s\n%v", example, err)
	}
	if len(file.Sinks) != 1 {
		t.Errorf("%d sinks", len(file.Sinks))
	}
}

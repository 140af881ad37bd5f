package rules_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/services/crm-writeback/rules"
	"github.com/sluicehq/sluice/services/crm-writeback/target/httptarget"
	"github.com/sluicehq/sluice/services/crm-writeback/target/hubspot"
	"github.com/sluicehq/sluice/services/crm-writeback/target/salesforce"
)

func document(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../WRITEBACK.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheDocumentsExamplesAreRightToTheLastOption(t *testing.T) {
	t.Parallel()
	examples := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindAllStringSubmatch(document(t), -1)
	if len(examples) < 3 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, example := range examples {
		checkWhole(t, example[1])
	}
}

func TestTheFileThatIsBuiltInIsRightToTheLastOption(t *testing.T) {
	t.Parallel()
	checkWhole(t, string(rules.Shipped()))
}

// checkWhole reads a file with the options of its kinds.
func checkWhole(t *testing.T, text string) {
	t.Helper()
	set, err := rules.Parse([]byte(text), func(name string) (string, bool) {
		switch {
		case strings.HasSuffix(name, "_FILE"):
			return "", false
		case strings.HasSuffix(name, "_URL"):
			return "https://sandbox.example", true
		}
		return "set-for-the-test", true
	})
	if err != nil {
		t.Errorf("%v in\n%s", err, text)
		return
	}
	if len(set.Targets()) == 0 {
		t.Errorf("no targets in\n%s", text)
	}
	for _, target := range set.Targets() {
		var options any
		switch target.Kind {
		case rules.Salesforce:
			options = new(salesforce.Options)
		case rules.HubSpot:
			options = new(hubspot.Options)
		case rules.HTTP:
			options = new(httptarget.Options)
		}
		if err := target.Options(options); err != nil {
			t.Errorf("%s: %v", target.Name, err)
		}
	}
}

package httpsink_test

import (
	"os"
	"reflect"
	"strings"
	"testing"

	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
	"github.com/sluicehq/sluice/services/currents-fanout/httpsink"
)

// Every sinks.yaml in HTTP.md is one that can be used as it stands.
func TestExamplesCanBeUsedAsTheyStand(t *testing.T) {
	text, err := os.ReadFile("../HTTP.md")
	if err != nil {
		t.Fatal(err)
	}
	kinds := currentsfanout.Kinds{"http": currentsfanout.KindOf[httpsink.Options](httpsink.Open)}
	environment := func(name string) (string, bool) {
		switch {
		case strings.HasSuffix(name, "_FILE"):
			return "", false
		case strings.HasPrefix(name, "PARTNER"):
			return "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true
		}
		return "value-of-" + name, true
	}
	sinks := 0
	for i, block := range strings.Split(string(text), "```yaml\n")[1:] {
		example, _, _ := strings.Cut(block, "```")
		file, err := kinds.Parse("HTTP.md", []byte(example), environment)
		if err != nil {
			t.Errorf("example %d:\n%s\n%v", i+1, example, err)
			continue
		}
		sinks += len(file.Sinks)
	}
	if sinks != 10 {
		t.Errorf("%d sinks in the examples", sinks)
	}
}

// An option that nobody has written about is one that nobody finds.
func TestEveryOptionIsWrittenAbout(t *testing.T) {
	text, err := os.ReadFile("../HTTP.md")
	if err != nil {
		t.Fatal(err)
	}
	var check func(of reflect.Type)
	check = func(of reflect.Type) {
		for i := range of.NumField() {
			f := of.Field(i)
			if key := f.Tag.Get("yaml"); !strings.Contains(string(text), "`"+key) && !strings.Contains(string(text), "."+key+"`") {
				t.Errorf("%s is not in HTTP.md", key)
			}
			if f.Type.Kind() == reflect.Struct {
				check(f.Type)
			}
		}
	}
	check(reflect.TypeFor[httpsink.Options]())
}

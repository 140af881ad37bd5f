package pgsink

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/config"
)

// The table of options says what the tags say.
func TestEveryOptionIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../POSTGRES.md")
	if err != nil {
		t.Fatal(err)
	}
	for f := range reflect.TypeFor[Options]().Fields() {
		name, preset := f.Tag.Get("yaml"), "`"+f.Tag.Get("default")+"`"
		switch {
		case f.Tag.Get("required") == "true":
			preset = "needed"
		case preset == "``":
			preset = "none"
		}
		if row := "\n| `" + name + "` | " + preset + " | "; !strings.Contains(string(doc), row) {
			t.Errorf("POSTGRES.md has no row%s", row)
		}
	}
}

// Callers without a sinks.yaml have the same defaults as those with one.
func TestTheDefaultsAreThoseOfTheTags(t *testing.T) {
	type file struct {
		Postgres Options `yaml:"postgres"`
	}
	got, _, err := config.Load[file](config.Options{Environ: []string{}, Defaults: map[string]string{"postgres.dsn": "postgres://h/d"}})
	if err != nil {
		t.Fatal(err)
	}
	want := Options{DSN: "postgres://h/d", Create: true}.filled()
	if got.Postgres != want {
		t.Errorf("the tags say %+v, filled %+v", got.Postgres, want)
	}
}

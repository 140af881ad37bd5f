package registry_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/registry/embedded"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func TestTheEmbeddedRegistryConforms(t *testing.T) {
	r, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Log: func(line string) { t.Log(line) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	conform(t, r.URL())
}

func TestARealRegistryConforms(t *testing.T) {
	url := os.Getenv("TEST_SCHEMA_REGISTRY_URL")
	if url == "" {
		const why = "NO REAL SCHEMA REGISTRY WAS TESTED: TEST_SCHEMA_REGISTRY_URL is not set"
		fmt.Fprintln(os.Stderr, why)
		if os.Getenv("CI") == "true" {
			t.Fatal(why)
		}
		t.Skip(why)
	}
	fmt.Fprintln(os.Stderr, "schema registry: real, at", url)
	conform(t, url)
}

// The versions of one record, and what they do to those that read and write the first.
const (
	first     = `{"type":"record","name":"Order","namespace":"io.sluice.test","fields":[{"name":"order_id","type":"string"},{"name":"lines","type":"long"}]}`
	nullable  = `{"type":"record","name":"Order","namespace":"io.sluice.test","fields":[{"name":"order_id","type":"string"},{"name":"lines","type":"long"},{"name":"note","type":["null","string"],"default":null}]}`
	more      = `{"type":"record","name":"Order","namespace":"io.sluice.test","fields":[{"name":"order_id","type":"string"},{"name":"lines","type":"long"},{"name":"note","type":["null","string"],"default":null},{"name":"shop","type":["null","string"],"default":null}]}`
	mandatory = `{"type":"record","name":"Order","namespace":"io.sluice.test","fields":[{"name":"order_id","type":"string"},{"name":"lines","type":"long"},{"name":"note","type":"string"}]}`
	removed   = `{"type":"record","name":"Order","namespace":"io.sluice.test","fields":[{"name":"order_id","type":"string"}]}`
	retyped   = `{"type":"record","name":"Order","namespace":"io.sluice.test","fields":[{"name":"order_id","type":"string"},{"name":"lines","type":"string"}]}`
	widened   = `{"type":"record","name":"Order","namespace":"io.sluice.test","fields":[{"name":"order_id","type":"string"},{"name":"lines","type":"double"}]}`
	nonsense  = `{"type":"record","name":"Order","fields":[{"name":"order_id","type":"nosuchtype"}]}`
)

// conform holds a registry to what we rely on. It makes subjects of its own, so that many runs may
// share a registry.
func conform(t *testing.T, url string) {
	client, err := registry.New(registry.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	ctx := t.Context()
	if err := client.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	run := uuid.NewString()[:8]
	subject := func(name string) string { return "test-" + run + "-" + name + "-value" }
	register := func(t *testing.T, subject, schema string) int {
		t.Helper()
		id, err := client.Register(ctx, subject, schema)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	level := func(t *testing.T, subject string, level registry.Level) {
		t.Helper()
		if err := client.SetLevel(ctx, subject, level); err != nil {
			t.Fatal(err)
		}
	}

	t.Run("a schema is found again by its id, its subject and itself", func(t *testing.T) {
		s := subject("found")
		id := register(t, s, first)
		text, err := client.SchemaByID(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		same(t, first, text)
		latest, err := client.Latest(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		same(t, first, latest.Schema)
		latest.Schema = ""
		if diff := cmp.Diff(registry.Registered{Subject: s, Version: 1, ID: id}, latest); diff != "" {
			t.Errorf("latest (-want +got):\n%s", diff)
		}
		gotID, version, err := client.Lookup(ctx, s, first)
		if err != nil || gotID != id || version != 1 {
			t.Errorf("looked up id %d version %d, error %v; want id %d version 1", gotID, version, err, id)
		}
	})
	t.Run("the same schema has one id, in every subject and however often it is registered", func(t *testing.T) {
		id := register(t, subject("one"), first)
		for _, s := range []string{subject("one"), subject("two")} {
			if again := register(t, s, first); again != id {
				t.Errorf("%s: got id %d, want %d", s, again, id)
			}
		}
		if versions, err := client.Versions(ctx, subject("one")); err != nil || len(versions) != 1 {
			t.Errorf("got versions %v, error %v; want one", versions, err)
		}
	})
	t.Run("versions are counted from one", func(t *testing.T) {
		s := subject("versions")
		register(t, s, first)
		register(t, s, nullable)
		register(t, s, more)
		versions, err := client.Versions(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int{1, 2, 3}, versions); diff != "" {
			t.Errorf("versions (-want +got):\n%s", diff)
		}
	})
	t.Run("what is not there is not found", func(t *testing.T) {
		s := subject("found")
		_, byID := client.SchemaByID(ctx, 1<<30)
		_, latest := client.Latest(ctx, subject("missing"))
		_, versions := client.Versions(ctx, subject("missing"))
		_, _, inMissing := client.Lookup(ctx, subject("missing"), first)
		_, _, inOther := client.Lookup(ctx, s, nullable)
		for what, err := range map[string]error{"an id": byID, "the latest version": latest, "versions": versions, "a schema of a missing subject": inMissing, "a schema of no version": inOther} {
			if !errors.Is(err, registry.ErrNotFound) {
				t.Errorf("%s: got error %v, want %v", what, err, registry.ErrNotFound)
			}
		}
	})
	t.Run("nonsense is refused", func(t *testing.T) {
		if _, err := client.Register(ctx, subject("nonsense"), nonsense); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("got error %v, want %v", err, registry.ErrInvalid)
		}
	})
	t.Run("a level can be set and read", func(t *testing.T) {
		s := subject("level")
		register(t, s, first)
		got, err := client.Level(ctx, s)
		if err != nil || got != registry.BackwardTransitive {
			t.Errorf("at first: got %q, error %v; want %s", got, err, registry.BackwardTransitive)
		}
		for _, want := range registry.Levels() {
			level(t, s, want)
			if got, err := client.Level(ctx, s); err != nil || got != "" && got != want {
				t.Errorf("got %q, error %v; want %s", got, err, want)
			}
		}
		if err := client.SetLevel(ctx, s, "SIDEWAYS"); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("an unknown level: got error %v, want %v", err, registry.ErrInvalid)
		}
	})
	t.Run("a subject that is not there takes anything", func(t *testing.T) {
		if ok, _, err := client.Check(ctx, subject("empty"), first); !ok || err != nil {
			t.Errorf("got %v, error %v; want compatible", ok, err)
		}
	})

	for _, tt := range []struct {
		name   string
		next   string
		allows []registry.Level // besides None
	}{
		{name: "a field that may be null is added", next: nullable, allows: registry.Levels()},
		{name: "a mandatory field is added", next: mandatory, allows: []registry.Level{registry.Forward, registry.ForwardTransitive}},
		{name: "a mandatory field is removed", next: removed, allows: []registry.Level{registry.Backward, registry.BackwardTransitive}},
		{name: "a number is widened", next: widened, allows: []registry.Level{registry.Backward, registry.BackwardTransitive}},
		{name: "a type is changed", next: retyped},
	} {
		for _, l := range registry.Levels() {
			t.Run(fmt.Sprintf("%s under %s", tt.name, l), func(t *testing.T) {
				s := subject(fmt.Sprintf("%s-%s", strings.ReplaceAll(tt.name, " ", "-"), strings.ToLower(string(l))))
				register(t, s, first)
				level(t, s, l)
				want := l == registry.None || slices.Contains(tt.allows, l)
				ok, reasons, err := client.Check(ctx, s, tt.next)
				if err != nil || ok != want {
					t.Errorf("check: got %v, error %v; want %v", ok, err, want)
				}
				if ok && len(reasons) > 0 {
					t.Errorf("compatible, and yet: %q", reasons)
				}
				_, err = client.Register(ctx, s, tt.next)
				if want && err != nil || !want && !errors.Is(err, registry.ErrIncompatible) {
					t.Errorf("register: got error %v, want taken: %v", err, want)
				}
			})
		}
	}
	t.Run("only a transitive level looks beyond the newest version", func(t *testing.T) {
		// First a field goes, then it comes back as another type: the newest version does not mind.
		for _, l := range []registry.Level{registry.Backward, registry.BackwardTransitive} {
			s := subject("beyond-" + strings.ToLower(string(l)))
			register(t, s, first)
			level(t, s, l)
			register(t, s, removed)
			back := strings.Replace(retyped, `"type":"string"}]}`, `"type":"string","default":""}]}`, 1)
			// Not Check: Apicurio holds it against all versions, whatever the level.
			_, err := client.Register(ctx, s, back)
			if want := l == registry.Backward; want && err != nil || !want && !errors.Is(err, registry.ErrIncompatible) {
				t.Errorf("%s: got error %v, want taken: %v", l, err, want)
			}
		}
	})
	t.Run("a subject may have a slash and a space in its name", func(t *testing.T) {
		s := subject("a/b c")
		id := register(t, s, first)
		if latest, err := client.Latest(ctx, s); err != nil || latest.ID != id {
			t.Errorf("got %v, error %v; want id %d", latest, err, id)
		}
	})
}

// same compares schemas by what they say, not how.
func same(t *testing.T, want, got string) {
	t.Helper()
	wantForm, err := registry.Canonical(want)
	if err != nil {
		t.Fatal(err)
	}
	gotForm, err := registry.Canonical(got)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(wantForm, gotForm); diff != "" {
		t.Errorf("schema (-want +got):\n%s", diff)
	}
}

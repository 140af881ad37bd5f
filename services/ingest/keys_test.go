package ingest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/quota"
)

func TestKeysAreReadFromText(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       Keys
	}{
		{"a bare key", "dev", Keys{{Name: "default", Key: "dev"}}},
		{"a name and a key", "shop:s3cret", Keys{{Name: "shop", Key: "s3cret"}}},
		{"sources", "shop:s3cret:web|app", Keys{{Name: "shop", Key: "s3cret", Sources: []string{"web", "app"}}}},
		{"several, with blanks", " shop:a , crm:b,\n", Keys{{Name: "shop", Key: "a"}, {Name: "crm", Key: "b"}}},
		{"a YAML list", "- name: shop\n  key: s3:cret\n  sources: [web]\n- {name: crm, key: b}\n", Keys{{Name: "shop", Key: "s3:cret", Sources: []string{"web"}}, {Name: "crm", Key: "b"}}},
		{"a YAML list in one line", `[{"name": "shop", "key": "a"}]`, Keys{{Name: "shop", Key: "a"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got Keys
			if err := got.UnmarshalText([]byte(c.text)); err != nil {
				t.Fatal(err)
			}
			reveal := cmp.Transformer("reveal", func(s config.Secret) string { return s.Reveal() })
			if diff := cmp.Diff(c.want, got, reveal); diff != "" {
				t.Errorf("keys (-want +got):\n%s", diff)
			}
			if err := errorsOf(got); err != "" {
				t.Error(err)
			}
		})
	}
}

func errorsOf(k Keys) string {
	var all []string
	for _, p := range k.problems() {
		all = append(all, p.Error())
	}
	return strings.Join(all, "\n")
}

func TestKeysThatCannotBeUsedAreToldWithoutShowingThem(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no name", ":s3cret", "keys[0].name"},
		{"a name that cannot stand in a header", "sh op:s3cret", "keys[0].name"},
		{"no key", "shop:", "keys[0].key"},
		{"a key with a blank", "shop:s3 cret", "keys[0].key"},
		{"an empty source", "shop:s3cret:", "keys[0].sources"},
		{"the same name twice", "shop:s3cret,shop:s4cret", "keys[1].name"},
		{"the same key twice", "shop:s3cret,crm:s3cret", "keys[1].key"},
		{"too many colons", "shop:s3cret:a:b", "want name:key"},
		{"YAML with a key of its own", "- {name: shop, s3cret: x}", "want name:key"},
		{"YAML that is none", "[s3cret", "want name:key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k Keys
			var text string
			if err := k.UnmarshalText([]byte(c.text)); err != nil {
				text = err.Error()
			} else {
				text = errorsOf(k)
			}
			if !strings.Contains(text, c.want) || strings.Contains(text, "s3cret") {
				t.Errorf("got %q, want something about %s", text, c.want)
			}
		})
	}
}

func TestOptionsShowNoKey(t *testing.T) {
	o := Options{Keys: Keys{{Name: "shop", Key: "s3cret"}}}
	if text := fmt.Sprintf("%v %+v %#v", o, o, o); strings.Contains(text, "s3cret") {
		t.Error(text)
	}
}

func TestRingFindsTheHolderAndKeepsNoKey(t *testing.T) {
	w := newWindow(0, time.Hour)
	m := newMetrics(prometheus.NewRegistry(), w, func() float64 { return 0 })
	r := newRing(Keys{{Name: "shop", Key: "s3cret"}, {Name: "crm", Key: "other", Sources: []string{"salesforce", "x"}}}, false, quota.Rate{}, w, m)
	for key, want := range map[string]string{"s3cret": "shop", "other": "salesforce", "": "", "s3cre": "", "s3cret ": "", "S3CRET": ""} {
		got := ""
		if h := r.find([]byte(key)); h != nil {
			got = h.source
		}
		if got != want {
			t.Errorf("key %q: source %q, want %q", key, got, want)
		}
	}
	if text := fmt.Sprintf("%+v", *r[0]); strings.Contains(text, "s3cret") {
		t.Error("the ring keeps the key itself")
	}
}

// FuzzKeys reads any text as keys. What comes out without a problem must be usable as it is.
func FuzzKeys(f *testing.F) {
	for _, text := range []string{"dev", "shop:key:a|b,crm:key2", "- {name: a, key: b}", "[", ",,:,", "- name: a\n  key: b\n  sources: [c]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var k Keys
		if err := k.UnmarshalText([]byte(text)); err != nil || len(k.problems()) > 0 {
			return
		}
		names := map[string]bool{}
		for _, key := range k {
			if !isName(key.Name) || !isToken(key.Key.Reveal()) || names[key.Name] {
				t.Fatalf("%q: a key that cannot be used: %+v", text, key)
			}
			names[key.Name] = true
		}
	})
}

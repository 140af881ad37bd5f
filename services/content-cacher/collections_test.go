package contentcacher

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheShippedCollectionsAreOpen(t *testing.T) {
	c, err := LoadCollections("", os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	if col := c.Find("anything"); col == nil || !col.admits("") {
		t.Errorf("%+v", col)
	}
}

func TestAFilesMistakesAreNamed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	lookup := func(name string) (string, bool) {
		v, ok := map[string]string{"HERE": "here", "FILED_FILE": file, "LOST_FILE": file + "x"}[name]
		return v, ok
	}
	for _, c := range []struct{ name, text, want string }{
		{"a name that no collection can have", `[{name: "a/b"}]`, "collections[0].name"},
		{"a star in the middle", `[{name: "a*b"}]`, "collections[0].name"},
		{"a key that is not known", `[{name: a, cash: 5m}]`, "cash"},
		{"a cache that Braze would not have", `[{name: a}, {name: b, cache: 1m}]`, "collections[1].cache"},
		{"a token that is nowhere", `[{name: a, bearer: "${NOWHERE}"}]`, "NOWHERE or NOWHERE_FILE"},
		{"a token whose file is lost", `[{name: a, bearer: "${LOST}"}]`, "LOST_FILE"},
		{"two kinds of credentials", `[{name: a, bearer: x, user: y, password: z}]`, "collections[0].bearer"},
		{"a user without a password", `[{name: a, user: y}]`, "collections[0].user"},
		{"a default that is no object", `[{name: a, default: [1]}]`, "a body is an object"},
		{"a catalog of many", `[{name: "a*", catalog: true}]`, "collections[0].catalog"},
		{"no YAML", `[{`, "content.yaml"},
	} {
		_, err := parseCollections([]byte("collections: "+c.text), "content.yaml", lookup)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	c, err := parseCollections([]byte(`collections: [{name: a, bearer: "${HERE}"}, {name: "b*", bearer: "${FILED}"}, {name: "b1"}]`), "content.yaml", lookup)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Find("a").admits("Bearer here") || !c.Find("b1").admits("Bearer from a file") || c.Find("c") != nil {
		t.Error("the first rule that fits does not count, or a secret is not filled in")
	}
}

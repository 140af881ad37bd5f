package kafkatest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPropertiesAreThoseOnFile(t *testing.T) {
	for _, tc := range []struct {
		name, file string
		cfg        Config
	}{
		{"one node", "one-node.properties", Config{Nodes: 1, Protocol: "PLAINTEXT"}},
		{
			"the second of three nodes, with an override", "three-nodes.properties",
			Config{Nodes: 3, Protocol: "SASL_SSL", Properties: map[string]string{"min.insync.replicas": "1", "extra": `a\b`}},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := &Cluster{cfg: tc.cfg}
			for i := 1; i <= tc.cfg.Nodes; i++ {
				c.nodes = append(c.nodes, &Node{cluster: c, id: i, client: 21000 + i, broker: 22000 + i, controller: 23000 + i})
			}
			got := formatProperties(c.properties(c.nodes[len(c.nodes)/2]))
			file := filepath.Join("testdata", tc.file)
			if os.Getenv("GOLDEN") == "write" {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s (-file +got), GOLDEN=write rewrites it:\n%s", file, diff)
			}
		})
	}
}

func TestIDsCannotBeTakenForFlags(t *testing.T) {
	for range 10_000 {
		if id := randomID(); len(id) != 22 || strings.HasPrefix(id, "-") {
			t.Fatalf("id %q", id)
		}
	}
}

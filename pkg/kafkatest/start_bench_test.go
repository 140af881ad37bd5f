package kafkatest_test

import (
	"fmt"
	"testing"

	"github.com/sluicehq/sluice/pkg/kafkatest"
)

// BenchmarkStart is where the README's start times come from, and what the options that shorten a start are worth:
//
//	go test -run '^$' -bench Start -benchtime 5x .
func BenchmarkStart(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, variant := range []struct {
			name string
			jvm  []string
		}{
			{"as it is", nil},
			{"without the class archive", []string{"-Xshare:off"}},
			{"with the JDK's own archive only", []string{"-XX:SharedArchiveFile="}},
			{"without TieredStopAtLevel", []string{"-XX:TieredStopAtLevel=4"}},
			{"without either", []string{"-XX:SharedArchiveFile=", "-XX:TieredStopAtLevel=4"}},
		} {
			b.Run(fmt.Sprintf("%d nodes, %s", nodes, variant.name), func(b *testing.B) {
				for b.Loop() {
					c, err := kafkatest.Start(b.Context(), kafkatest.Config{Nodes: nodes, JVM: variant.jvm})
					if err != nil {
						b.Fatal(err)
					}
					if err := c.Close(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkStartRegistry(b *testing.B) {
	for b.Loop() {
		r, err := kafkatest.StartRegistry(b.Context(), kafkatest.RegistryConfig{})
		if err != nil {
			b.Fatal(err)
		}
		if err := r.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

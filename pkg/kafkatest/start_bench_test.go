package kafkatest_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/sluicehq/sluice/pkg/kafkatest"
)

// BenchmarkStart is where the README's start times come from, and what the options that shorten a start are worth. On a
// busy machine trust the processor time, which the JVMs used, over the time on the clock:
//
//	go test -run '^$' -bench Start -benchtime 5x .
func BenchmarkStart(b *testing.B) {
	for _, nodes := range []int{1, 3} {
		for _, variant := range []struct {
			name string
			jvm  []string
		}{
			{"as it is", nil},
			{"without the class archive", []string{"-XX:SharedArchiveFile="}}, /* the JDK's own is left */
			{"without TieredStopAtLevel", []string{"-XX:TieredStopAtLevel=4"}},
			{"without either", []string{"-XX:SharedArchiveFile=", "-XX:TieredStopAtLevel=4"}},
		} {
			b.Run(fmt.Sprintf("nodes=%d/%s", nodes, variant.name), func(b *testing.B) {
				defer reportProcessorTime(b)()
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
	defer reportProcessorTime(b)()
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

// reportProcessorTime adds what all processes started between its two calls, and ended, used of the processors.
func reportProcessorTime(b *testing.B) (done func()) {
	before := childrensTime(b)
	return func() { b.ReportMetric((childrensTime(b)-before)/float64(b.N), "cpu-s/op") }
}

func childrensTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

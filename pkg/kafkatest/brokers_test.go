package kafkatest

import (
	"regexp"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBrokersIsTheSharedClusterOrEndsTheTest(t *testing.T) {
	for _, tc := range []struct {
		name, given, ci string
		want            []string
		end             string
	}{
		{name: "a list is split and trimmed", given: "a:1, b:2,", want: []string{"a:1", "b:2"}},
		{name: "without a broker the test is skipped and says so", end: "skip: NOT RUN, NEEDS A REAL KAFKA: TEST_KAFKA_BROKERS is not set; run it under withkafka (make test does)"},
		{name: "without a broker in CI the test fails", ci: "true", end: "fatal: REAL KAFKA IS MISSING, and CI=true: TEST_KAFKA_BROKERS is not set; run it under withkafka (make test does)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Setenv(EnvBrokers, tc.given)
			t.Setenv("CI", tc.ci)
			var got []string
			end := endOf(t, func(t testing.TB) { got = Brokers(t) })
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("brokers (-want +got):\n%s", diff)
			}
			if end != tc.end {
				t.Errorf("it ended with %q, want %q", end, tc.end)
			}
		})
	}
}

func TestRegistryURLHasNoSlashAtTheEnd(t *testing.T) {
	t.Setenv(EnvRegistryURL, "http://127.0.0.1:1/apis/ccompat/v7/")
	if got := RegistryURL(t); got != "http://127.0.0.1:1/apis/ccompat/v7" {
		t.Error(got)
	}
}

func TestPrefixIsShortLegalAndNeverTheSame(t *testing.T) {
	form := regexp.MustCompile(`^t-[a-z0-9]{6}\.$`)
	seen := map[string]bool{}
	for range 100 {
		p := Prefix(t)
		if !form.MatchString(p) || seen[p] {
			t.Errorf("prefix %q", p)
		}
		seen[p] = true
	}
}

// ending stands in for a test and remembers how it was ended.
type ending struct {
	testing.TB
	how string
}

func (e *ending) Helper()           {}
func (e *ending) Fatal(args ...any) { e.end("fatal: ", args) }
func (e *ending) Skip(args ...any)  { e.end("skip: ", args) }

func (e *ending) end(how string, args []any) {
	e.how = how + args[0].(string)
	runtime.Goexit()
}

func endOf(t *testing.T, test func(testing.TB)) string {
	e := &ending{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(e)
	}()
	<-done
	return e.how
}

package braze

import (
	"fmt"
	"testing"
)

func TestClassify(t *testing.T) {
	tests := []struct {
		status  int
		notSent bool
		want    Verdict
		why     string
	}{
		{0, true, NotSent, "no connection"},
		{0, false, InDoubt, "silence after the request left"},
		{200, false, Accepted, "any 2xx is acceptance"},
		{201, false, Accepted, "the documented one"},
		{202, false, Accepted, "queued during maintenance"},
		{204, false, Accepted, "without a body"},
		{299, false, Accepted, "the last of them"},
		{301, false, Stopped, "a redirect is a wrong address"},
		{308, false, Stopped, "likewise"},
		{400, false, Malformed, "something in the batch"},
		{401, false, Stopped, "unknown key or wrong instance"},
		{402, false, Stopped, "not the data's fault"},
		{403, false, Stopped, "no permission, or a trailing slash"},
		{404, false, Stopped, "wrong address"},
		{405, false, Stopped, "not Braze at all"},
		{407, false, Stopped, "a proxy wants credentials"},
		{408, false, Unavailable, "answered, and not taken"},
		{413, false, Malformed, "too large: halve it"},
		{415, false, Stopped, "content type"},
		{422, false, Malformed, "something in the batch"},
		{425, false, Unavailable, "too early"},
		{429, false, Throttled, "quota"},
		{451, false, Stopped, "not the data's fault"},
		{499, false, Stopped, "the last of them"},
		{500, false, Unavailable, "server side"},
		{502, false, Unavailable, "gateway"},
		{503, false, Unavailable, "no capacity"},
		{504, false, Unavailable, "upstream timeout"},
		{599, false, Unavailable, "the last of them"},
		{600, false, InDoubt, "no HTTP status"},
		{999, false, InDoubt, "no HTTP status"},
		{101, false, InDoubt, "no answer to this request"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d %s", tt.status, tt.why), func(t *testing.T) {
			if got := classify(tt.status, tt.notSent); got != tt.want {
				t.Errorf("classify(%d, %v) = %v, want %v", tt.status, tt.notSent, got, tt.want)
			}
		})
	}
}

func TestMaybeApplied(t *testing.T) {
	tests := []struct {
		answer Answer
		want   bool
	}{
		{Answer{Verdict: InDoubt}, true},
		{Answer{Verdict: Unavailable, Status: 500}, true},
		{Answer{Verdict: Unavailable, Status: 504}, true},
		{Answer{Verdict: Unavailable, Status: 408}, false},
		{Answer{Verdict: NotSent}, false},
		{Answer{Verdict: Throttled, Status: 429}, false},
		{Answer{Verdict: Malformed, Status: 400}, false},
		{Answer{Verdict: Stopped, Status: 401}, false},
		{Answer{Verdict: Accepted, Status: 201}, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.answer.Verdict, tt.answer.Status), func(t *testing.T) {
			if got := tt.answer.MaybeApplied(); got != tt.want {
				t.Errorf("MaybeApplied() = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestEveryVerdictHasItsWord(t *testing.T) {
	seen := map[string]bool{"": true}
	for v := Accepted; v <= Stopped; v++ {
		if seen[v.String()] {
			t.Errorf("verdict %d is called %q, as another or none", v, v)
		}
		seen[v.String()] = true
	}
	if Verdict(0).String() != "" || Verdict(99).String() != "" {
		t.Error("what is no verdict has a word")
	}
}

package wire

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/outcome"
)

func TestWordsAreFitToBeRead(t *testing.T) {
	for text, want := range map[string]string{
		"a\n\x1b[31mb\t c\u202e": "a [31mb c",
		"\xff":                   "\uFFFD",
		"":                       "",
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got := Printable(strings.Repeat("é", MaxWords)); len(got) > MaxWords+8 || !strings.HasSuffix(got, "…") {
		t.Errorf("%d bytes", len(got))
	}
	if got := Status(418, " x "); got != "answered 418 I'm a teapot: x" {
		t.Error(got)
	}
	if got := Status(477, ""); got != "answered 477" {
		t.Error(got)
	}
}

func TestReasonsAreWords(t *testing.T) {
	for text, want := range map[string]string{
		"VALIDATION_ERROR": "validation_error", "param.wrong-value": "param_wrong_value", "": "rejected", "Zoë": "rejected",
		"a\nb": "rejected", strings.Repeat("a", 41): "rejected",
	} {
		if got := Word(text, Rejected); got != want {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func TestWaitsThatAreAskedFor(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "5": 5 * time.Second, "-1": 0, "x": 0, "999999": time.Hour, "Mon, 02 Mar 2026 09:00:30 GMT": 30 * time.Second,
	} {
		h := http.Header{}
		if value != "" {
			h.Set("Retry-After", value)
		}
		h.Set("X-RateLimit-Remaining", "0") // another's word for something else
		if got := RetryAfter(h, now); got != want {
			t.Errorf("%q: %v", value, got)
		}
	}
}

func TestRedirectsTellNoSecrets(t *testing.T) {
	for location, want := range map[string]string{
		"": "nowhere", "/login?token=1": "another path on the same host", "https://user:pw@evil.example/?token=1": "https://evil.example", "%zz": "nowhere",
	} {
		h := http.Header{}
		if location != "" {
			h.Set("Location", location)
		}
		a := Away(302, h)
		if !a.Halt || a.All.Kind != outcome.Deferred || !strings.Contains(a.All.Detail, want+", which") || strings.Contains(a.All.Detail, "token") {
			t.Errorf("%q: %+v", location, a)
		}
	}
}

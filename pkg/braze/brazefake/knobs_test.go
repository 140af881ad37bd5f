package brazefake_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// ask sends a question to the sandbox.
func ask(s *brazefake.Sandbox, method, path, body string, headers ...string) (status int, answer string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestKnobsAreTurnedOneByOneWhileItRuns(t *testing.T) {
	s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{P5xxAfter: 0.25}})
	status, answer := ask(s, http.MethodPut, "/_sandbox/knobs", `{"down":true,"latency_min":"5ms","latency_max":"50ms","rate_limit":100,"dialect":"delta"}`)
	want := brazefake.Knobs{
		P5xxAfter: 0.25, Down: true, LatencyMin: 5 * time.Millisecond, LatencyMax: 50 * time.Millisecond, RateLimit: 100, Dialect: "delta",
		RateWindow: 3 * time.Second, RetryAfter: time.Second, AllFailedStatus: 201, PlainStatus: 201, QueuedStatus: 400,
	}
	if diff := cmp.Diff(want, s.Knobs()); status != 200 || diff != "" {
		t.Errorf("status %d, knobs (-want +got):\n%s", status, diff)
	}
	if r := post(s, events(1)); r.StatusCode != 503 {
		t.Errorf("status %d although it is down", r.StatusCode)
	}
	var said, asked brazefake.Knobs
	_, again := ask(s, http.MethodGet, "/_sandbox/knobs", "")
	for text, into := range map[string]*brazefake.Knobs{answer: &said, again: &asked} {
		if err := json.Unmarshal([]byte(text), into); err != nil {
			t.Fatal(err)
		}
	}
	if said != want && asked != want {
		t.Errorf("said %+v, asked %+v, want %+v", said, asked, want)
	}
}

func TestKnobsThatMakeNoSenseAreRefusedAndChangeNothing(t *testing.T) {
	for body, want := range map[string]string{
		`{"p429":1.5}`:                            "p429",
		`{"p429":-0.1}`:                           "p429",
		`{"latency_max":"-1s"}`:                   "latency_max",
		`{"latency_max":"2h"}`:                    "latency_max",
		`{"latency_max":5}`:                       "latency_max",
		`{"latency_min":"2s","latency_max":"1s"}`: "_max",
		`{"dialect":"klingon"}`:                   "klingon",
		`{"all_failed_status":500}`:               "all_failed_status",
		`{"rate_limit":-1}`:                       "rate_limit",
		`{"lattency_max":"1s"}`:                   "lattency_max",
		`{"down":"yes"}`:                          "down",
		`nonsense`:                                "reading",
	} {
		t.Run(body, func(t *testing.T) {
			s := brazefake.New(brazefake.Options{})
			before := s.Knobs()
			status, answer := ask(s, http.MethodPut, "/_sandbox/knobs", body)
			if status != 400 || !strings.Contains(answer, want) && want != "reading" {
				t.Errorf("status %d: %s", status, answer)
			}
			if s.Knobs() != before {
				t.Errorf("the knobs became %+v", s.Knobs())
			}
		})
	}
}

func TestEveryKnobHasAName(t *testing.T) {
	out, err := json.Marshal(brazefake.Knobs{})
	if err != nil {
		t.Fatal(err)
	}
	var names map[string]any
	if err := json.Unmarshal(out, &names); err != nil {
		t.Fatal(err)
	}
	if got, want := len(names), reflect.TypeFor[brazefake.Knobs]().NumField(); got != want {
		t.Errorf("%d names for %d knobs", got, want)
	}
}

func TestAnotherSitesPageCannotTurnKnobs(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	status, _ := ask(s, http.MethodPost, "/_sandbox/reset", "", "Sec-Fetch-Site", "cross-site")
	if status != http.StatusForbidden {
		t.Errorf("status %d, want 403", status)
	}
}

package outgoing_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake/outgoing"
)

func TestHowOftenAWebhookIsTried(t *testing.T) {
	always := func(status int) func(int, []string) int { return func(int, []string) int { return status } }
	tests := []struct {
		name   string
		answer func(int, []string) int
		tries  int
		fate   outgoing.Fate
	}{
		{"20x is received", always(http.StatusNoContent), 1, outgoing.Sent},
		{"30x is final", always(http.StatusMovedPermanently), 1, outgoing.Dropped},
		{"another 4xx is final", always(http.StatusUnauthorized), 1, outgoing.Dropped},
		{"408 is tried five times more", always(http.StatusRequestTimeout), 6, outgoing.Dropped},
		{"429 is tried five times more", always(http.StatusTooManyRequests), 6, outgoing.Dropped},
		{"5xx is tried five times more", always(http.StatusInternalServerError), 6, outgoing.Dropped},
		{"a broken connection is tried five times more", always(0), 6, outgoing.Dropped},
		{"until it is received", func(n int, _ []string) int {
			if n < 4 {
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		}, 4, outgoing.Sent},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &receiver{answer: test.answer}
				var told []outgoing.Attempt
				w := outgoing.NewWebhooks(outgoing.WebhookOptions{
					Client: &http.Client{Transport: r}, Tried: func(_ outgoing.Webhook, a outgoing.Attempt) { told = append(told, a) },
				})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan struct{})
				go func() { defer close(ended); w.Run(ctx) }()
				if err := w.Send(outgoing.Webhook{
					ID: "w-1", Name: "form", URL: "http://receiver.test/form", Body: []byte(`{}`), Header: http.Header{"Authorization": {"Bearer dev"}},
				}); err != nil {
					t.Fatal(err)
				}
				pass(24 * time.Hour)
				stop()
				<-ended
				log := w.Log()
				if len(log) != 1 || log[0].Fate != test.fate || len(log[0].Attempts) != test.tries {
					t.Fatalf("%+v, want %d tries", log, test.tries)
				}
				if diff := cmp.Diff(log[0].Attempts, told); diff != "" {
					t.Errorf("what was told (-log +told):\n%s", diff)
				}
				for i, a := range told {
					if a.Terminal != (i == len(told)-1) {
						t.Errorf("try %d says terminal %v", a.Number, a.Terminal)
					}
				}
				if h := r.calls[0].header; h.Get("Authorization") != "Bearer dev" || !strings.HasPrefix(h.Get("User-Agent"), "Braze Sender ") {
					t.Errorf("headers %v", h)
				}
				if spent := r.calls[len(r.calls)-1].at.Sub(r.calls[0].at); spent > 30*time.Minute {
					t.Errorf("the tries took %v", spent)
				}
			})
		})
	}
}

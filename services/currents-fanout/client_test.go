package currentsfanout_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
	"github.com/sluicehq/sluice/services/currents-fanout/sink"
)

// TestAnAnswerThatPointsElsewhereIsNoDelivery: followed, a POST becomes a GET, and its 200 says nothing of the events.
func TestAnAnswerThatPointsElsewhereIsNoDelivery(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/login" {
			http.Redirect(w, r, "/login", http.StatusFound)
		}
	}))
	defer server.Close()
	s := newScene(t, "sinks: [{name: one, kind: fake}]", "one")
	var client *http.Client
	s.kinds["fake"] = currentsfanout.KindOf(func(_ context.Context, _ fakeOptions, d sink.Deps) (sink.Sink, error) {
		client = d.HTTP
		return fake{s.ends[d.Name]}, nil
	})
	s.start()
	response, err := client.Post(server.URL+"/events", "application/json", strings.NewReader("[]"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusFound || client.Timeout <= 0 {
		t.Errorf("it answered %d, within %v", response.StatusCode, client.Timeout)
	}
}

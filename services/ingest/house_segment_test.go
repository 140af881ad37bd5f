package ingest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

func TestMessagesThatCannotBeUsedAreDeadLetters(t *testing.T) {
	onEveryBroker(t, func(t *testing.T, kafka stream.Config) {
		h := openHouse(t, kafka, nil)
		bad := `{"type":"track","messageId":"bad-1","userId":"u" , "properties":{"id":820982911946154508}}`
		large := `{"type":"track","messageId":"bad-2","userId":"u","event":"E","properties":{"a":"` + strings.Repeat("x", 900_000) + `"}}`
		body := `{"writeKey":"k1","batch":[` + strings.Join([]string{`{"type":"track","userId":"u","event":"E"}`, bad, large, `{"type":"page","anonymousId":"a"}`}, ",") + `]}`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/v1/batch", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := freshClient(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != 200 || string(answer) != `{"success":true}` {
			t.Fatalf("got %d %s", resp.StatusCode, answer)
		}
		letters := map[string]string{}
		for _, m := range h.read(t, schema.DeadLetters(Name)) {
			l := decode(t, schema.DeadLetters(Name), m.Value)
			if l["service"] != "ingest" || l["origin_topic"] != "/v1/batch" || l["origin_partition"] != int32(-1) || l["origin_offset"] != int64(-1) || l["attempts"] != int32(0) {
				t.Errorf("origin: %v", l)
			}
			letters[fmt.Sprint(l["event_id"], " ", l["reason"], ": ", l["detail"])] = string(l["origin_value"].([]byte))
		}
		want := map[string]string{
			"bad-1 missing_field: event is required":                         bad,
			"bad-2 too_large: properties is too large: at most 102400 bytes": large,
		}
		if diff := cmp.Diff(want, letters); diff != "" {
			t.Errorf("letters (-want +got):\n%s", diff)
		}
		checkLaw(t, h.process.Metrics, 4, len(h.read(t, schema.CustomerEvents)))
	})
}

func TestASlowBodyIsNotWaitedForForEver(t *testing.T) {
	h := openHouse(t, kafkaAt(startBroker(t, embedded.Config{}).Addr()), func(o *Options) { o.ReadTimeout = 200 * time.Millisecond })
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := fmt.Fprint(conn, "POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Api-Key: k1\r\nContent-Length: 100\r\n\r\n{"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if a := readAnswer(t, resp.Body); resp.StatusCode != 408 || a.Error.Code != "timeout" {
		t.Errorf("got %d %+v", resp.StatusCode, a.Error)
	}
}

func TestABodyThatIsTooLargeIsNotRead(t *testing.T) {
	h := openHouse(t, kafkaAt(startBroker(t, embedded.Config{}).Addr()), nil)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", h.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	// Not a byte of the body is sent: the client waits to be told to.
	if _, err := fmt.Fprint(conn, "POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Api-Key: k1\r\nExpect: 100-continue\r\nContent-Length: 5000001\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if a := readAnswer(t, resp.Body); resp.StatusCode != 413 || a.Error.Code != "too_large" {
		t.Errorf("got %d %+v", resp.StatusCode, a.Error)
	}
}

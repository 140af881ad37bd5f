package daemon

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

func open(t *testing.T) *Process {
	t.Helper()
	p, err := NewProcess(t.Context(), "sluice", Config{Ops: OpsConfig{Addr: "127.0.0.1:0"}, Log: LogConfig{Format: "json"}}, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestTheOpsServer(t *testing.T) {
	p := open(t)
	for _, tc := range []struct {
		name, path string
		before     func()
		code       int
		has        string
	}{
		{name: "alive before it is ready", path: "/healthz", code: 200, has: "ok"},
		{name: "not ready while starting", path: "/readyz", code: 503, has: `{"ready":false,"failing":{"process":"starting"}}`},
		{
			name: "a failing check is named", path: "/readyz", code: 503, has: `{"ready":false,"failing":{"sender/kafka":"no broker"}}`,
			before: func() { p.Health.Set("process", nil); p.Named("sender").Health.Set("kafka", errors.New("no broker")) },
		},
		{name: "and alive all the same", path: "/healthz", code: 200, has: "ok"},
		{
			name: "ready when nothing fails", path: "/readyz", code: 200, has: `{"ready":true}`,
			before: func() { p.Named("sender").Health.Set("kafka", nil) },
		},
		{name: "metrics say what was built", path: "/metrics", code: 200, has: `sluice_build_info{component="sluice",go="go1.`},
		{name: "metrics of the Go runtime", path: "/metrics", code: 200, has: "go_goroutines "},
		{name: "metrics of the process", path: "/metrics", code: 200, has: "process_open_fds "},
		{name: "profiles are listed", path: "/debug/pprof/", code: 200, has: "goroutine"},
		{name: "a profile", path: "/debug/pprof/goroutine?debug=1", code: 200, has: "goroutine profile"},
		{name: "nothing else", path: "/", code: 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.before != nil {
				tc.before()
			}
			code, body := get(t, "http://"+p.OpsAddr()+tc.path)
			if code != tc.code || !strings.Contains(body, tc.has) {
				t.Errorf("it answers %d, want %d with %q:\n%s", code, tc.code, tc.has, body)
			}
		})
	}
}

func TestComponentsMayUseTheSameMetricNames(t *testing.T) {
	p := open(t)
	for name, n := range map[string]float64{"ingest": 1, "sender": 2} {
		counter := prometheus.NewCounter(prometheus.CounterOpts{Name: "sluice_records_total", Help: "Records."})
		p.Named(name).Metrics.MustRegister(counter)
		counter.Add(n)
	}
	_, body := get(t, "http://"+p.OpsAddr()+"/metrics")
	for _, line := range []string{`sluice_records_total{component="ingest"} 1`, `sluice_records_total{component="sender"} 2`} {
		if !strings.Contains(body, line+"\n") {
			t.Errorf("no %s", line)
		}
	}
}

func TestNativeHistogramsAndExemplarsAreServed(t *testing.T) {
	p := open(t)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "sluice_wait_seconds", Help: "Wait.", Buckets: []float64{1, 10}, NativeHistogramBucketFactor: 1.1,
	})
	p.Metrics.MustRegister(h)
	h.(prometheus.ExemplarObserver).ObserveWithExemplar(5, prometheus.Labels{"trace_id": "abc"})

	_, body := get(t, "http://"+p.OpsAddr()+"/metrics", "Accept", "application/openmetrics-text; version=1.0.0")
	if want := `sluice_wait_seconds_bucket{component="sluice",le="10.0"} 1 # {trace_id="abc"} 5.0`; !strings.Contains(body, want) {
		t.Errorf("no %s", want)
	}

	format := expfmt.NewFormat(expfmt.TypeProtoDelim)
	_, body = get(t, "http://"+p.OpsAddr()+"/metrics", "Accept", string(format))
	decoder := expfmt.NewDecoder(strings.NewReader(body), format)
	for {
		var family dto.MetricFamily
		if err := decoder.Decode(&family); err != nil {
			t.Fatalf("no native histogram: %v", err)
		}
		if family.GetName() == "sluice_wait_seconds" {
			got := family.GetMetric()[0].GetHistogram()
			if len(got.GetPositiveSpan()) == 0 || len(got.GetBucket()) == 0 {
				t.Errorf("both kinds of bucket are wanted: %v", got)
			}
			return
		}
	}
}

func TestHugeHeadersAreRefused(t *testing.T) {
	p := open(t)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.OpsAddr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	go func() { // the server may well hang up before all is written
		_, _ = conn.Write([]byte("GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 64<<10) + "\r\n\r\n"))
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("it answers %s", resp.Status)
	}
}

func TestLogLines(t *testing.T) {
	for _, tc := range []struct {
		name string
		cfg  LogConfig
		want string // how a warning begins
	}{
		{name: "are JSON where nobody watches", cfg: LogConfig{Level: "info", Format: "auto"}, want: `{"level":"warn"`},
		{name: "are for people on demand", cfg: LogConfig{Level: "info", Format: "console"}, want: `WRN`},
		{name: "below the level are left out", cfg: LogConfig{Level: "error", Format: "json"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			log := newLogger(tc.cfg, &out)
			log.Warn().Msg("look")
			if tc.want == "" && out.Len() > 0 || !strings.Contains(out.String(), tc.want) {
				t.Errorf("got %s", out.String())
			}
			if tc.want != "" && tc.cfg.Format == "auto" {
				var line struct{ Time string }
				if err := json.Unmarshal(out.Bytes(), &line); err != nil || len(line.Time) != len("2006-01-02T15:04:05.000Z") {
					t.Errorf("time %q, %v", line.Time, err)
				}
			}
		})
	}
}

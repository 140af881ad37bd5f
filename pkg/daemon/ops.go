package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	stdlog "log"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// opsServer answers operators and their tools.
type opsServer struct {
	server *http.Server
	addr   string
	ended  chan struct{}
}

// startOps listens, and serves from then on.
func startOps(ctx context.Context, cfg OpsConfig, p *Process) (*opsServer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("listening for operators (OPS_ADDR): %w", err)
	}
	complaints := p.Log.With().Str("of", "ops server").Logger()
	s := &opsServer{
		addr:  listener.Addr().String(),
		ended: make(chan struct{}),
		server: &http.Server{
			Handler:           opsHandler(p),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			// A CPU profile or an execution trace is asked for by the half minute.
			WriteTimeout:   2 * time.Minute,
			IdleTimeout:    time.Minute,
			MaxHeaderBytes: 16 << 10,
			ErrorLog:       stdlog.New(complaints, "", 0),
		},
	}
	go s.serve(listener, p)
	return s, nil
}

func (s *opsServer) serve(listener net.Listener, p *Process) {
	defer close(s.ended)
	if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		p.Log.Error().Err(err).Msg("operators are no longer answered")
	}
}

// close lets requests under way finish for a moment, a scrape of the last counts among them.
func (s *opsServer) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		_ = s.server.Close() // of what is still open nothing is worth waiting for
	}
	<-s.ended
}

func opsHandler(p *Process) http.Handler {
	mux := http.NewServeMux()
	// Alive is whoever answers. To restart a process because Kafka is away would help nobody, so
	// nothing else is asked.
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("ok\n"))
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		answerReady(w, p.Health.Failing(r.Context()))
	})
	// Native histograms travel to scrapers that ask for protobuf, exemplars to those that ask for
	// OpenMetrics.
	mux.Handle("GET /metrics", promhttp.HandlerFor(p.root, promhttp.HandlerOpts{
		Registry: p.root, EnableOpenMetrics: true, MaxRequestsInFlight: 4, Timeout: 30 * time.Second,
	}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol) // which is how pprof asks for many
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// answerReady writes {"ready":true}, or 503 with {"ready":false,"failing":{"kafka":"…"}}.
func answerReady(w http.ResponseWriter, failing map[string]error) {
	answer := struct {
		Ready   bool              `json:"ready"`
		Failing map[string]string `json:"failing,omitempty"`
	}{Ready: len(failing) == 0, Failing: map[string]string{}}
	for name, err := range failing {
		answer.Failing[name] = err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer)
}

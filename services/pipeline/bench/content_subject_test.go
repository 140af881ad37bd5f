package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/pkg/stream"
	contentcacher "github.com/sluicehq/sluice/services/content-cacher"
)

func init() {
	roles["content"] = runContent
	roles["content-bare"] = runContentBare
	roles["content-fill"] = runContentFill
	roles["content-read"] = runContentRead
}

// runContent is the real service, as its own binary runs it.
func runContent() error {
	defer profile()()
	daemon.Main(contentcacher.Name, contentcacher.Open)
	return nil
}

// runContentBare writes the same bytes whatever it is asked for, from a server that is set as content-cacher's
// is. It looks at nothing but whether the reader knows them already.
func runContentBare() error {
	body, tag := []byte(os.Getenv("BENCH_BODY")), []string{`"0123456789abcdef"`}
	kind, length, cache, vary := []string{"application/json"}, []string{strconv.Itoa(len(body))}, []string{"public, max-age=300"}, []string{"Accept-Encoding"}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{
		Addr: os.Getenv("CONTENT_ADDR"), Protocols: protocols, MaxHeaderBytes: 16 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h := w.Header()
			h["Etag"], h["Cache-Control"], h["Vary"] = tag, cache, vary
			if r.Header.Get("If-None-Match") == tag[0] {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			h["Content-Type"], h["Content-Length"] = kind, length
			_, _ = w.Write(body)
		}),
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// runContentRead reads what there is and looks at nothing.
func runContentRead() error {
	ctx := context.Background()
	kafka := kafkaOf(os.Getenv("KAFKA_BROKERS"), os.Getenv("TOPIC_PREFIX"))
	r, err := measured(func() (n int, err error) {
		return n, stream.Read(ctx, kafka, stream.Range{Topic: kafka.Topic(schema.ContentItems)}, func(*stream.Record) error {
			n++
			return nil
		})
	})
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]Result{"Loop": r})
}

// runContentFill is the real service until it is ready.
func runContentFill() error {
	cfg, _, err := config.Load[contentcacher.Config](config.Options{Environ: os.Environ()})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	metrics, health := prometheus.NewRegistry(), &daemon.Health{}
	process := &daemon.Process{Name: contentcacher.Name, Log: zerolog.Nop(), Metrics: metrics, Health: health, DrainTimeout: time.Second}
	var service daemon.Service
	ended := make(chan error, 1)
	var f filled
	f.Loop, err = measured(func() (int, error) {
		if service, err = contentcacher.Open(ctx, cfg, process); err != nil {
			return 0, err
		}
		go func() { ended <- service.Run(ctx) }()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for len(health.Failing(ctx)) > 0 {
			select {
			case <-tick.C:
			case err := <-ended:
				return 0, fmt.Errorf("ended before it was ready: %w", err)
			}
		}
		return gaugeOf(metrics, "sluice_content_items")
	})
	if err != nil {
		return err
	}
	f.HeapReady = heapNow()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for copying := 1; copying > 0; { // what is left to be done in the background
		<-tick.C
		if copying, err = gaugeOf(metrics, "sluice_content_copying"); err != nil {
			return err
		}
	}
	f.Heap, f.Resident = heapNow(), residentOf()
	runtime.KeepAlive(service)
	cancel()
	if err := <-ended; err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(f)
}

// heapNow is how many bytes live on the heap.
func heapNow() int64 {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// gaugeOf is what the service says of itself.
func gaugeOf(metrics *prometheus.Registry, name string) (int, error) {
	families, err := metrics.Gather()
	if err != nil {
		return 0, err
	}
	for _, f := range families {
		if f.GetName() == name {
			return int(f.GetMetric()[0].GetGauge().GetValue()), nil
		}
	}
	return 0, errors.New("the service does not say " + name)
}

// residentOf is how much of this process is in memory now.
func residentOf() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

package bench

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// runBareDoor is the least that a receiver can do: it reads a body, takes it apart, produces the bytes of each part, waits for
// Kafka, and says yes.
func runBareDoor(split func(body []byte) ([][]byte, error), yes int) error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	topic := os.Getenv("TOPIC_PREFIX") + "raw"
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...),
		kgo.ProducerLinger(0), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.Lz4Compression()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreateTopic(ctx, 12, -1, nil, topic); err != nil {
		return err
	}
	server := &http.Server{Addr: os.Getenv("INGEST_ADDR"), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		parts, err := split(body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		var pending sync.WaitGroup
		var failed atomic.Bool
		pending.Add(len(parts))
		for _, part := range parts {
			client.Produce(ctx, &kgo.Record{Value: part}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Store(true)
				}
				pending.Done()
			})
		}
		pending.Wait()
		if failed.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(yes)
	})}
	go func() {
		<-ctx.Done()
		server.Close()
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		return err
	}
	return nil
}

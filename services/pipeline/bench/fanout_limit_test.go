package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/schemas"
	currentsfanout "github.com/sluicehq/sluice/services/currents-fanout"
)

func init() {
	roles["fanout"] = runFanout
	roles["fanout-limit"] = runFanoutLimit
}

// runFanout is the real service, as its own binary runs it.
func runFanout() error {
	defer profile()()
	daemon.Main(currentsfanout.Name, currentsfanout.Open)
	return nil
}

// ourSchema says that everything was written with our newest schema.
type ourSchema struct{}

func (ourSchema) SchemaByID(context.Context, int) (string, error) {
	return schemas.Latest(schema.BrazeEngagements), nil
}

// runFanoutLimit is as many bare forwarders as there are far ends: each has a consumer of its own, decodes records, puts the events
// of one batch after another into an array and posts it. No groups, no order, no commits, no filters, no doubles, no memory to
// be bounded, no looking at answers.
func runFanoutLimit() error {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	var forwarders sync.WaitGroup
	failed := make(chan error, 1)
	for i := range intEnv("BENCH_SINKS", 0) {
		forwarders.Go(func() {
			if err := forward(ctx, fmt.Sprint(os.Getenv("BENCH_FAR"), "/", i)); err != nil && ctx.Err() == nil {
				failed <- err
			}
		})
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	forwarders.Wait()
	return nil
}

func forward(ctx context.Context, to string) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(os.Getenv("KAFKA_BROKERS"), ",")...),
		kgo.ConsumeTopics(os.Getenv("TOPIC_PREFIX")+schema.BrazeEngagements), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
	)
	if err != nil {
		return err
	}
	defer client.Close()
	post := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: fanoutConcurrency}}
	batches, free := make(chan []byte), make(chan []byte, 2*fanoutConcurrency)
	var posts sync.WaitGroup
	defer posts.Wait()
	defer close(batches)
	for range fanoutConcurrency {
		posts.Go(func() {
			for body := range batches {
				req, _ := http.NewRequest(http.MethodPost, to, bytes.NewReader(body))
				req.Header.Set("Content-Type", "application/json")
				resp, err := post.Do(req)
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					continue
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				free <- body[:0]
			}
		})
	}
	decoder := avro.NewEngagementDecoder(ourSchema{})
	left := intEnv("BENCH_EVENTS", 0)
	var e event.Engagement
	body, n := []byte(nil), 0
	for left > 0 {
		fetches := client.PollRecords(ctx, 5000)
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			if _, err := decoder.Decode(ctx, r.Value, &e); err != nil {
				return err
			}
			body = append(append(body, ','), e.JSON...)
			n, left = n+1, left-1
			if n < fanoutBatch && left > 0 {
				continue
			}
			body[0] = '['
			batches <- append(body, ']')
			select {
			case body = <-free:
			default:
				body = nil
			}
			n = 0
		}
	}
	return nil
}

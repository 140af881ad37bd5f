package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/sluicehq/sluice/pkg/avro"
	"github.com/sluicehq/sluice/pkg/currents"
	"github.com/sluicehq/sluice/pkg/currents/sample"
	"github.com/sluicehq/sluice/pkg/stream"
)

// bulletin makes events of every type there is, any number of them again, and reports them: a part to the front door,
// in batches that come again until they are taken, and the rest straight to the topic.
type bulletin struct {
	seed   uint64
	types  []string
	topic  string
	schema int
	url    string // of the front door

	direct []int32   // events in the order of their records, doubles and all
	calls  [][]int32 // batches for the door, likewise

	handed int // of calls
	todo   chan []int32

	mu     sync.Mutex
	posted posted
}

const (
	connectorToken = "chaos-currents"
	perCall        = 100 // events in a batch
	callersAtOnce  = 4
)

// newBulletin shuffles events of which three in ten come twice.
func newBulletin(seed uint64, events int) *bulletin {
	b := &bulletin{seed: seed}
	for _, t := range currents.Types() {
		b.types = append(b.types, t.Name)
	}
	dice := rand.New(rand.NewPCG(seed, 11))
	next := int32(0)
	for ; int(next) < events/7/perCall*perCall; next += perCall {
		batch := make([]int32, perCall)
		for i := range batch {
			batch[i] = next + int32(i)
		}
		b.calls = append(b.calls, batch)
	}
	b.posted.events = int(next)
	b.posted.batches = len(b.calls)
	for _, batch := range b.calls {
		if dice.IntN(10) < 3 {
			b.calls = append(b.calls, batch)
		}
	}
	dice.Shuffle(len(b.calls), func(i, j int) { b.calls[i], b.calls[j] = b.calls[j], b.calls[i] })
	for ; int(next) < events; next++ {
		b.direct = append(b.direct, next)
		if dice.IntN(10) < 3 {
			b.direct = append(b.direct, next)
		}
	}
	dice.Shuffle(len(b.direct), func(i, j int) { b.direct[i], b.direct[j] = b.direct[j], b.direct[i] })
	b.todo = make(chan []int32, len(b.calls))
	return b
}

// event is event n as Braze sends it, the same whenever it does.
func (b *bulletin) event(n int32) []byte {
	return sample.Event(rand.New(rand.NewPCG(b.seed, uint64(n))), b.types[int(n)%len(b.types)], int(n))
}

// record is event n as it stands on the topic.
func (b *bulletin) record(n int32) (*stream.Record, error) {
	e, err := currents.Read(b.event(n), "eu", time.Now())
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", n, err)
	}
	return &stream.Record{Topic: b.topic, Key: []byte(e.Key()), Value: avro.AppendEngagement(nil, b.schema, &e)}, nil
}

// take are the next records, and on the door's side as large a part of the batches is due.
func (b *bulletin) take(made, most int) ([]*stream.Record, error) {
	var records []*stream.Record
	for _, n := range b.direct[made:min(made+most, len(b.direct))] {
		r, err := b.record(n)
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	b.hand(len(b.calls) * (made + len(records)) / len(b.direct))
	if made+len(records) == len(b.direct) {
		close(b.todo)
	}
	return records, nil
}

// hand gives the door's callers batches until they have had so many.
func (b *bulletin) hand(due int) {
	for ; b.handed < min(due, len(b.calls)); b.handed++ {
		b.todo <- b.calls[b.handed]
	}
}

// post has callers at the door until every batch is taken.
func (b *bulletin) post(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client := &http.Client{Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	var callers sync.WaitGroup
	for range callersAtOnce {
		callers.Go(func() {
			for {
				select {
				case batch, more := <-b.todo:
					if !more {
						return
					}
					if err := b.knock(ctx, client, batch); err != nil {
						cancel(err)
						return
					}
				case <-ctx.Done():
					return
				}
			}
		})
	}
	callers.Wait()
	return context.Cause(ctx)
}

// knock posts a batch until it is taken.
func (b *bulletin) knock(ctx context.Context, client *http.Client, batch []int32) error {
	events := make([][]byte, len(batch))
	for i, n := range batch {
		events[i] = b.event(n)
	}
	body := sample.Batch(events...)
	for {
		status, err := b.call(ctx, client, body)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && status == http.StatusOK:
			return nil
		case err == nil && status != http.StatusServiceUnavailable:
			return fmt.Errorf("the front door answers Currents with %d", status)
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func (b *bulletin) call(ctx context.Context, client *http.Client, body []byte) (status int, err error) {
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.posted.calls++
		switch {
		case err != nil:
			b.posted.lost++
		case status == http.StatusServiceUnavailable:
			b.posted.away++
		}
	}()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Authorization", "Bearer "+connectorToken)
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// turnedAway is how many calls were told to come again.
func (b *bulletin) turnedAway() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.posted.away
}

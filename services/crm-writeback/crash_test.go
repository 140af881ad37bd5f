package crmwriteback_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/crm"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/pkg/registry"
	"github.com/sluicehq/sluice/pkg/stream"
	crmwriteback "github.com/sluicehq/sluice/services/crm-writeback"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// childEnv tells the test binary to be the service itself, in a process that can be killed.
const childEnv = "CRM_WRITEBACK_TEST_CHILD"

// child is what a process of the service is told.
type child struct {
	Kafka    stream.Config
	Registry string
	URL      string // of the far end
}

func runChild(ctx context.Context, text string) int {
	var c child
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	config := crmwriteback.Config{
		Kafka: c.Kafka, Registry: registry.Config{URL: c.Registry},
		Writeback: crmwriteback.Options{RowPatience: time.Hour, CallTimeout: time.Minute, Drain: time.Second, CommitEvery: 50 * time.Millisecond},
	}
	systems := []crmwriteback.System{{
		Name: "crm", Kind: "far", Linger: 5 * time.Millisecond, Memory: 32 << 20, Concurrency: 4, FailureBudget: time.Hour,
		Open: func(context.Context, target.Deps) (target.Target, error) { return far{c.URL}, nil },
	}}
	s, err := crmwriteback.OpenWriters(ctx, config, systems, &daemon.Process{
		Name: crmwriteback.Name, Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel), Metrics: prometheus.NewRegistry(), Health: &daemon.Health{},
	})
	if err == nil {
		err = s.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// far is a target in another process: it is sent keys and values, and says of each row whether it is locked.
type far struct{ url string }

type farRow struct{ Key, Value string }

func (far) Form() target.Form { return target.Form{Rows: 8, Calls: 4} }
func (far) Close() error      { return nil }

func (f far) Write(ctx context.Context, rows []*target.Row) target.Answer {
	sent := make([]farRow, len(rows))
	for i, r := range rows {
		sent[i] = farRow{r.Key, string(r.Fields)}
	}
	body, err := json.Marshal(sent)
	if err != nil {
		return target.Refused("encoding", err.Error())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return target.Refused("request", err.Error())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return target.Deferred("network", err.Error(), 0)
	}
	defer resp.Body.Close()
	var locked []bool
	if err := json.NewDecoder(resp.Body).Decode(&locked); err != nil {
		return target.Deferred("network", err.Error(), 0)
	}
	a := target.Answer{Status: 200, RequestID: "r"}
	for _, l := range locked {
		what := outcome.Outcome{Kind: outcome.Delivered}
		if l {
			what = outcome.Outcome{Kind: outcome.Deferred, Reason: "locked"}
		}
		a.Each = append(a.Each, target.Result{Outcome: what})
	}
	return a
}

func TestNoOlderRowIsWrittenAfterANewerOneHoweverOftenTheServiceIsKilled(t *testing.T) {
	s := newScene(t)
	// The far end keeps what was written of each key, in order.
	var mu sync.Mutex
	written := map[string][]int{}
	dice := rand.New(rand.NewPCG(1, 2))
	end := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var rows []farRow
		if err := json.NewDecoder(r.Body).Decode(&rows); err != nil {
			return // whoever asked is dead
		}
		mu.Lock()
		defer mu.Unlock()
		locked := make([]bool, len(rows))
		for i, row := range rows {
			if locked[i] = dice.IntN(5) == 0; locked[i] {
				continue
			}
			var fields struct{ A int }
			if err := json.Unmarshal([]byte(row.Value), &fields); err != nil {
				t.Error(err)
			}
			written[row.Key] = append(written[row.Key], fields.A)
		}
		_ = json.NewEncoder(w).Encode(locked)
	}))
	defer end.Close()

	const rows, keys, kills = 2000, 50, 3 // a kill costs the session timeout
	var writes []crm.Write
	for i := range rows {
		writes = append(writes, row("crm", fmt.Sprintf("w%05d", i), "u"+strconv.Itoa(i%keys), fmt.Sprintf(`{"A":%d}`, i)))
	}
	told, err := json.Marshal(child{Kafka: s.config.Kafka, Registry: registryURL, URL: end.URL})
	if err != nil {
		t.Fatal(err)
	}
	start := func() *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+string(told))
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd
	}
	delivered := func() int {
		n := map[string]bool{}
		for _, d := range s.deliveries() {
			n[d.WriteID] = true
		}
		return len(n)
	}
	await := func(n int) {
		t.Helper()
		deadline := time.After(60 * time.Second)
		for delivered() < n {
			select {
			case <-deadline:
				t.Fatalf("%d rows have deliveries, want %d", delivered(), n)
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	for kill := range kills + 1 {
		cmd := start()
		s.write(writes[kill*rows/(kills+1) : (kill+1)*rows/(kills+1)]...)
		if kill == kills {
			await(rows)
		} else {
			await(delivered() + 60)
		}
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	mu.Lock()
	defer mu.Unlock()
	for key, values := range written {
		for i := 1; i < len(values); i++ {
			if values[i] < values[i-1] {
				t.Fatalf("%s was written %d after %d: %v", key, values[i], values[i-1], values)
			}
		}
	}
	twice := 0
	seen := map[string]outcome.Kind{}
	for _, d := range s.deliveries() {
		if _, ok := seen[d.WriteID]; ok {
			twice++
		}
		seen[d.WriteID] = d.Outcome.Kind
		if d.Outcome.Kind != outcome.Delivered {
			t.Fatalf("%s is %v", d.WriteID, d.Outcome)
		}
	}
	if twice > 0 {
		t.Errorf("%d rows have two deliveries", twice)
	}
}

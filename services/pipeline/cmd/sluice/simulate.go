package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluicehq/sluice/pkg/schema"
	"github.com/sluicehq/sluice/services/pipeline"
	"github.com/sluicehq/sluice/services/pipeline/simulate"
)

// simulation is what the command line says about one.
type simulation struct {
	seed      uint64
	customers int
	rate      float64
	duration  time.Duration
	events    int
	direct    bool
	calm      bool
	json      bool
}

func (a *app) simulateCommand() *cobra.Command {
	var s simulation
	c := &cobra.Command{
		Use:   "simulate",
		Short: "Let invented customers shop, with the mishaps of real life",
		Example: `  sluice simulate --seed 7 --customers 50 --rate 20 --duration 30s
  sluice simulate --seed 7 --events 1000 --json
  sluice simulate --direct --events 500      straight to the topics, as an upstream system would`,
		Long: `They come in through the real front door (SLUICE_URL, else INGEST_ADDR on this machine; SLUICE_KEY,
else the first of INGEST_KEYS), and what it cannot take now is sent again with the same ids. With
--direct they write to customer.events and commerce.events with kafka-go, framing of their own and the
schemas that the registry has, as a system does that knows nothing of Sluice.

One seed tells one story, to the byte. Told again within the front door's memory it is all known
already: every item has the same id.

` + where,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return a.simulate(c, s) },
	}
	f := c.Flags()
	f.Uint64Var(&s.seed, "seed", 0, "which `story` to tell; another each time when 0 (SIMULATE_SEED)")
	f.IntVar(&s.customers, "customers", 50, "how `many` customers there are (SIMULATE_CUSTOMERS)")
	f.Float64Var(&s.rate, "rate", 5, "`events` a second; as fast as they are taken when 0 (SIMULATE_RATE)")
	f.DurationVar(&s.duration, "duration", 0, "how `long` to go on; 30s when --events is not given either")
	f.IntVar(&s.events, "events", 0, "how `many` events to tell")
	f.BoolVar(&s.direct, "direct", false, "write to the topics instead of going through the front door")
	f.BoolVar(&s.calm, "no-mishaps", false, "let nothing go wrong")
	f.BoolVar(&s.json, "json", false, "print the summary as JSON")
	return c
}

func (a *app) simulate(c *cobra.Command, s simulation) error {
	cfg, _, err := a.load()
	if err != nil {
		return err
	}
	if err := s.settle(c, &cfg); err != nil {
		return err
	}
	ctx, stop := untilInterrupted(c.Context())
	defer stop()
	telling := simulate.Telling{Seed: cfg.Simulate.Seed, Customers: cfg.Simulate.Customers, Mishaps: simulate.FrontDoor}
	if s.direct {
		telling.Mishaps, telling.Straight = simulate.Upstream, true
	}
	if s.calm {
		telling.Mishaps = nil
	}
	pace := simulate.Pace{Rate: cfg.Simulate.Rate, Items: s.events, Duration: s.duration, Progress: a.progress, Every: s.every(a)}
	sum, err := tell(ctx, &cfg, telling, pace)
	if err != nil && sum.Total.Sent == 0 {
		return err
	}
	return errors.Join(a.summary(sum, s.json), err, surprise(sum))
}

// settle lays the command line over the configuration.
func (s *simulation) settle(c *cobra.Command, cfg *pipeline.Config) error {
	if c.Flags().Changed("seed") {
		cfg.Simulate.Seed = s.seed
	}
	if c.Flags().Changed("customers") {
		cfg.Simulate.Customers = s.customers
	}
	if c.Flags().Changed("rate") {
		cfg.Simulate.Rate = s.rate
	}
	cfg.PickSeed()
	switch {
	case cfg.Simulate.Customers < 1:
		return usageError{errors.New("--customers: at least one")}
	case cfg.Simulate.Rate < 0 || s.events < 0 || s.duration < 0:
		return usageError{errors.New("--rate, --events and --duration: nothing less than 0")}
	}
	if s.events == 0 && s.duration == 0 {
		s.duration = 30 * time.Second
	}
	return nil
}

// every is how often progress is told: a person wants to see something move.
func (s *simulation) every(a *app) time.Duration {
	if onTerminal(a.stderr) {
		return time.Second
	}
	return 10 * time.Second
}

func tell(ctx context.Context, cfg *pipeline.Config, t simulate.Telling, p simulate.Pace) (simulate.Summary, error) {
	if !t.Straight {
		return simulate.Door{URL: cfg.DoorURL(), Key: cfg.DoorKey()}.Send(ctx, t, p)
	}
	kafka := cfg.Ingest.Kafka
	return simulate.Upstreamer{
		Brokers: kafka.Brokers, Topic: kafka.Topic(schema.CustomerEvents), CommerceTopic: kafka.Topic(schema.CommerceEvents),
		Access: simulate.Access{
			TLS: kafka.TLS.Enabled, CAFile: kafka.TLS.CAFile, CertFile: kafka.TLS.CertFile, KeyFile: kafka.TLS.KeyFile,
			ServerName: kafka.TLS.ServerName,
			Mechanism:  kafka.SASL.Mechanism, Username: kafka.SASL.Username, Password: kafka.SASL.Password.Reveal(),
		},
		Registry:     cfg.Ingest.Registry.URL,
		RegistryUser: cfg.Ingest.Registry.Username, RegistryPassword: cfg.Ingest.Registry.Password.Reveal(),
	}.Send(ctx, t, p)
}

// progress is one line, over and over on a terminal.
func (a *app) progress(s simulate.Summary) {
	line := fmt.Sprintf("%6.0fs  sent %d  accepted %d  duplicate %d  rejected %d  retries %d",
		s.Seconds, s.Total.Sent, s.Total.Accepted, s.Total.Duplicate, s.Total.Rejected, s.Retries)
	if onTerminal(a.stderr) {
		_, _ = fmt.Fprintf(a.stderr, "\r\x1b[K%s", line)
		return
	}
	a.say("%s", line)
}

// summary prints what came of the story.
func (a *app) summary(s simulate.Summary, asJSON bool) error {
	if onTerminal(a.stderr) {
		_, _ = fmt.Fprint(a.stderr, "\r\x1b[K")
	}
	if asJSON {
		return a.json(s)
	}
	var rows [][]string
	for _, r := range append(s.Rows, s.Total) {
		rows = append(rows, []string{
			string(r.Mishap), strconv.Itoa(r.Sent), strconv.Itoa(r.Accepted), strconv.Itoa(r.Duplicate), strconv.Itoa(r.Rejected), strconv.Itoa(r.Lost),
		})
	}
	if err := a.table([]string{"MISHAP", "SENT", "ACCEPTED", "DUPLICATE", "REJECTED", "LOST"}, rows); err != nil {
		return err
	}
	a.say("seed %d: %d items in %.1f s, %d of them commerce, %d of profiles, %d of cases; %d requests, %d of them again",
		s.Seed, s.Total.Sent, s.Seconds, s.Commerce, s.Profiles, s.Cases, s.Requests, s.Retries)
	if s.Known > 0 {
		a.say("%d items were known already: this seed has been told before; another --seed tells another story", s.Known)
	}
	for _, surprise := range s.Surprises {
		a.say("surprise: %s", surprise)
	}
	return nil
}

// surprise is an error when something was not answered as the story foresaw.
func surprise(s simulate.Summary) error {
	if s.Surprised > 0 {
		return fmt.Errorf("%d items were not answered as the story has it", s.Surprised)
	}
	return nil
}

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
	"github.com/sluicehq/sluice/pkg/daemon"
	"github.com/sluicehq/sluice/pkg/stream/embedded"

	registryembedded "github.com/sluicehq/sluice/pkg/registry/embedded"
)

// standins take the place of what is not configured.
type standins struct {
	kafka    *embedded.Broker
	registry *registryembedded.Registry
	sandbox  *brazefake.Sandbox
	braze    *http.Server
	brazeURL string      // of the sandbox; empty without one
	crm      *crmSandbox // nil where somebody has configured others, or nobody writes back
	sinks    *localSinks // nil where somebody has configured others, or nobody fans out
	served   chan struct{}
}

// startStandins starts what is not configured, and points the configuration at it.
func startStandins(ctx context.Context, c *Config, picked picks, p *daemon.Process) (*standins, error) {
	s := &standins{}
	complain := func(line string) { p.Log.Warn().Msg(line) }
	if err := s.start(ctx, c, picked.sends, complain); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if picked.writesBack && c.Local.CRM {
		var err error
		if s.crm, err = openCRM(ctx, c.Sandbox.CRMAddr); err != nil {
			return nil, errors.Join(Taken(err, "SANDBOX_CRM_ADDR"), s.Close())
		}
		c.useCRM(s.crm.url)
	}
	if picked.fansOut && c.Fanout.Fanout.SinksFile == "" {
		var err error
		if s.sinks, err = writeLocalSinks(c.Sandbox.DataDir, s.brazeURL); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		c.Fanout.Fanout.SinksFile = s.sinks.file
	}
	return s, nil
}

func (s *standins) start(ctx context.Context, c *Config, sends bool, complain func(string)) (err error) {
	within := func(name string) string {
		if c.Sandbox.DataDir == "" {
			return ""
		}
		return filepath.Join(c.Sandbox.DataDir, name)
	}
	if c.Local.Kafka {
		s.kafka, err = embedded.Start(ctx, embedded.Config{
			Addr: c.Sandbox.KafkaAddr, Dir: within("kafka"), Partitions: int(c.Ingest.Kafka.Partitions), Log: complain,
		})
		if err != nil {
			return Taken(err, "EMBEDDED_KAFKA_ADDR")
		}
		c.useKafka(s.kafka.Addr())
	}
	if c.Local.Registry {
		s.registry, err = registryembedded.Start(ctx, registryembedded.Config{
			Addr: c.Sandbox.RegistryAddr, Dir: within("registry"), Log: complain,
		})
		if err != nil {
			return Taken(err, "EMBEDDED_REGISTRY_ADDR")
		}
		c.useRegistry(s.registry.URL())
	}
	if c.Local.Braze && sends {
		if err := s.startSandbox(ctx, c, complain); err != nil {
			return Taken(err, "SANDBOX_BRAZE_ADDR")
		}
		c.useBraze(s.brazeURL)
	}
	return nil
}

// What the sandbox remembers at most, so that it can run for days.
const (
	maxProfiles      = 20_000
	maxEventsPerUser = 200
	maxReceived      = 10_000
)

func (s *standins) startSandbox(ctx context.Context, c *Config, complain func(string)) error {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.Sandbox.BrazeAddr)
	if err != nil {
		return fmt.Errorf("braze sandbox: %w", err)
	}
	s.sandbox = brazefake.New(brazefake.Options{
		Keys:       []brazefake.Key{{Value: c.Sender.Braze.APIKey.Reveal()}},
		MaxObjects: c.Sender.Braze.MaxObjects, LegacyArrays: c.Sender.Braze.LegacyArrays,
		MaxProfiles: maxProfiles, MaxEventsPerUser: maxEventsPerUser, MaxReceived: maxReceived,
	})
	s.braze = brazefake.NewServer(s.sandbox)
	s.brazeURL = "http://" + ln.Addr().String()
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		if err := s.braze.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			complain("braze sandbox: " + err.Error())
		}
	}()
	return nil
}

// Sandbox is the Braze sandbox; nil when events go elsewhere.
func (l *Pipeline) Sandbox() *brazefake.Sandbox { return l.standins.sandbox }

// Close ends the stand-ins, in the reverse order of their start.
func (s *standins) Close() error {
	var errs []error
	if s.braze != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if s.braze.Shutdown(ctx) != nil {
			_ = s.braze.Close() // somebody looks at a page still
		}
		<-s.served
	}
	if s.registry != nil {
		errs = append(errs, s.registry.Close())
	}
	if s.kafka != nil {
		errs = append(errs, s.kafka.Close())
	}
	errs = append(errs, s.crm.Close(), s.sinks.Close())
	return errors.Join(errs...)
}

// Taken says of an error that an address is in use which variable to set.
func Taken(err error, variable string) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; set %s to another address, or to :0 for a free port", err, variable)
	}
	return err
}

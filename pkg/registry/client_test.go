package registry_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/registry"
)

// answers is a registry as a function; it counts the calls.
type answers struct {
	calls  atomic.Int64
	answer func(call int, req *http.Request) (status int, body string, err error)
}

func (a *answers) RoundTrip(req *http.Request) (*http.Response, error) {
	status, body, err := a.answer(int(a.calls.Add(1)), req)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}, nil
}

func (a *answers) client(t *testing.T) *registry.Client {
	t.Helper()
	c, err := registry.New(registry.Config{URL: "http://registry.test", Transport: a})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	text     = `"string"`
	textBody = `{"schema":"\"string\""}`
	noSchema = `{"error_code":40403,"message":"Schema 7 not found"}`
)

var errNetwork = errors.New("connection refused")

func TestASchemaIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := &answers{answer: func(int, *http.Request) (int, string, error) {
			<-time.After(time.Second) // a slow one, so that all ask while it thinks
			return http.StatusOK, textBody, nil
		}}
		c := reg.client(t)
		var readers sync.WaitGroup
		for range 50 {
			readers.Go(func() {
				if got, err := c.SchemaByID(t.Context(), 7); err != nil || got != text {
					t.Errorf("got %q, error %v; want %q", got, err, text)
				}
			})
		}
		readers.Wait()
		<-time.After(1000 * time.Hour)
		if got, err := c.SchemaByID(t.Context(), 7); err != nil || got != text {
			t.Errorf("much later: got %q, error %v; want %q", got, err, text)
		}
		if got := reg.calls.Load(); got != 1 {
			t.Errorf("got %d calls, want 1", got)
		}
	})
}

func TestWhoeverGivesUpWaitingDoesNotTakeTheOthersWithHim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := &answers{answer: func(_ int, req *http.Request) (int, string, error) {
			select {
			case <-time.After(2 * time.Second):
				return http.StatusOK, textBody, nil
			case <-req.Context().Done():
				return 0, "", req.Context().Err()
			}
		}}
		c := reg.client(t)
		var readers sync.WaitGroup
		readers.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := c.SchemaByID(ctx, 7); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("first: got error %v, want %v", err, context.DeadlineExceeded)
			}
		})
		synctest.Wait()
		readers.Go(func() {
			if got, err := c.SchemaByID(t.Context(), 7); err != nil || got != text {
				t.Errorf("second: got %q, error %v; want %q", got, err, text)
			}
		})
		readers.Wait()
		if got := reg.calls.Load(); got != 1 {
			t.Errorf("got %d calls, want 1", got)
		}
	})
}

func TestNotFoundIsRememberedBriefly(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		want   error
	}{
		{name: "an id that is not there", status: http.StatusNotFound, body: noSchema, want: registry.ErrNotFound},
		{name: "a schema of another kind", status: http.StatusOK, body: `{"schema":"{}","schemaType":"JSON"}`, want: registry.ErrUnsupported},
		{name: "a schema with references", status: http.StatusOK, body: `{"schema":"\"a.B\"","references":[{"name":"a.B","subject":"b","version":1}]}`, want: registry.ErrUnsupported},
		{name: "a schema without measure", status: http.StatusOK, body: `{"schema":"` + strings.Repeat("x", registry.MaxSchemaBytes+1) + `"}`, want: registry.ErrUnsupported},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reg := &answers{}
				reg.answer = func(call int, _ *http.Request) (int, string, error) {
					if call == 1 {
						return tt.status, tt.body, nil
					}
					return http.StatusOK, textBody, nil
				}
				c := reg.client(t)
				for range 3 {
					if _, err := c.SchemaByID(t.Context(), 7); !errors.Is(err, tt.want) {
						t.Fatalf("got error %v, want %v", err, tt.want)
					}
					<-time.After(1600 * time.Millisecond)
				}
				<-time.After(300 * time.Millisecond) // 5.1 s in all
				if got, err := c.SchemaByID(t.Context(), 7); err != nil || got != text {
					t.Errorf("after five seconds: got %q, error %v; want %q", got, err, text)
				}
				if got := reg.calls.Load(); got != 2 {
					t.Errorf("got %d calls, want 2", got)
				}
			})
		})
	}
}

func TestTroubleOnTheWayIsTriedAgainAndNeverRemembered(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		err    error
		calls  int64 // for a call that fails for good
	}{
		{name: "no connection", err: errNetwork, calls: 4},
		{name: "a server's error", status: http.StatusInternalServerError, body: `{"error_code":50001,"message":"store"}`, calls: 4},
		{name: "a gateway's page", status: http.StatusBadGateway, body: "<html>", calls: 4},
		{name: "too many requests", status: http.StatusTooManyRequests, calls: 4},
		{name: "a page where JSON should be", status: http.StatusOK, body: "<html>", calls: 4},
		{name: "an answer without end", status: http.StatusOK, body: `{"schema":"` + strings.Repeat("x", 5<<20), calls: 4},
		{name: "wrong credentials", status: http.StatusUnauthorized, body: `{"error_code":40101,"message":"no"}`, calls: 1},
		{name: "a wrong base URL is not a missing schema", status: http.StatusNotFound, body: "404 page not found", calls: 1},
		{name: "nor is a wrong path on a right host", status: http.StatusNotFound, body: `{"error_code":404,"message":"HTTP 404 Not Found"}`, calls: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				healed := false
				reg := &answers{answer: func(int, *http.Request) (int, string, error) {
					if healed {
						return http.StatusOK, textBody, nil
					}
					return tt.status, tt.body, tt.err
				}}
				c := reg.client(t)
				_, err := c.SchemaByID(t.Context(), 7)
				if err == nil || errors.Is(err, registry.ErrNotFound) || errors.Is(err, registry.ErrUnsupported) {
					t.Errorf("got error %v, want one that says nothing about the schema", err)
				}
				if got := reg.calls.Load(); got != tt.calls {
					t.Errorf("got %d calls, want %d", got, tt.calls)
				}
				healed = true
				if got, err := c.SchemaByID(t.Context(), 7); err != nil || got != text {
					t.Errorf("right after: got %q, error %v; want %q", got, err, text)
				}
			})
		})
	}
}

func TestPausesBetweenAttemptsGrowAndAreDrawn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		widths := []time.Duration{100 * time.Millisecond, 200 * time.Millisecond, 400 * time.Millisecond}
		longest := make([]time.Duration, len(widths))
		for range 200 {
			var times []time.Time
			reg := &answers{answer: func(int, *http.Request) (int, string, error) {
				times = append(times, time.Now())
				return 0, "", errNetwork
			}}
			if err := reg.client(t).Ping(t.Context()); !errors.Is(err, errNetwork) {
				t.Fatalf("got error %v, want %v", err, errNetwork)
			}
			for i := range longest {
				longest[i] = max(longest[i], times[i+1].Sub(times[i]))
			}
		}
		for i, got := range longest {
			if got > widths[i] || got < widths[i]*3/4 {
				t.Errorf("pause %d: the longest of 200 is %v, want at most and nearly %v", i+1, got, widths[i])
			}
		}
	})
}

func TestACallEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := &answers{answer: func(int, *http.Request) (int, string, error) { return 0, "", errNetwork }}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := reg.client(t).Versions(ctx, "orders-value"); !errors.Is(err, errNetwork) && !errors.Is(err, context.Canceled) {
			t.Errorf("got error %v", err)
		}
		if got := reg.calls.Load(); got > 1 {
			t.Errorf("got %d calls after the end", got)
		}
	})
}

func TestIDsThatNobodyGaveAreNotAskedFor(t *testing.T) {
	reg := &answers{answer: func(int, *http.Request) (int, string, error) { return http.StatusOK, textBody, nil }}
	c := reg.client(t)
	for _, id := range []int{0, -1} { // a transaction marker read as a record has id 0
		if _, err := c.SchemaByID(t.Context(), id); !errors.Is(err, registry.ErrNotFound) {
			t.Errorf("id %d: got error %v, want %v", id, err, registry.ErrNotFound)
		}
	}
	if got := reg.calls.Load(); got != 0 {
		t.Errorf("got %d calls, want none", got)
	}
}

func TestTheCacheIsBounded(t *testing.T) {
	reg := &answers{answer: func(_ int, req *http.Request) (int, string, error) {
		if strings.Contains(req.URL.Path, "/ids/9") {
			return http.StatusNotFound, noSchema, nil
		}
		return http.StatusOK, textBody, nil
	}}
	c := reg.client(t)
	get := func(id int) {
		t.Helper()
		if _, err := c.SchemaByID(t.Context(), id); err != nil && !errors.Is(err, registry.ErrNotFound) {
			t.Fatal(err)
		}
	}
	asked := func() int64 { return reg.calls.Swap(0) }
	get(1)
	for id := range 10_000 { // made-up ids: none of these is there
		get(90_000 + id)
	}
	asked()
	if get(1); asked() != 0 {
		t.Error("made-up ids pushed a real one out")
	}
	for id := range 10_000 {
		if get(100_000 + id); id == 5_000 {
			get(1) // still in use
		}
	}
	asked()
	if get(1); asked() != 0 {
		t.Error("an id in use was pushed out")
	}
	if get(100_000); asked() != 1 {
		t.Error("the oldest of more than ten thousand was kept")
	}
}

func TestALevelIsReadAsRegistriesWriteIt(t *testing.T) {
	for _, tt := range []struct {
		name string
		body string
		want registry.Level
	}{
		{name: "as Confluent does", body: `{"compatibilityLevel":"FULL"}`, want: registry.Full},
		{name: "as others do", body: `{"compatibility":"FULL"}`, want: registry.Full},
		{name: "as Apicurio 3.2 does", body: `{}`},
		{name: "with more beside it", body: `{"compatibilityLevel":"NONE","normalize":true,"alias":"x"}`, want: registry.None},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg := &answers{answer: func(_ int, req *http.Request) (int, string, error) {
				if got, want := req.URL.String(), "http://registry.test/config/orders-value?defaultToGlobal=true"; got != want {
					t.Errorf("asked %s, want %s", got, want)
				}
				return http.StatusOK, tt.body, nil
			}}
			got, err := reg.client(t).Level(t.Context(), "orders-value")
			if err != nil || got != tt.want {
				t.Errorf("got %q, error %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestSubjectsThatWouldLeadElsewhereAreRefused(t *testing.T) {
	reg := &answers{answer: func(int, *http.Request) (int, string, error) { return http.StatusOK, `{}`, nil }}
	c := reg.client(t)
	for _, subject := range []string{"", ".", "..", "a\nb"} {
		_, register := c.Register(t.Context(), subject, text)
		_, _, lookup := c.Lookup(t.Context(), subject, text)
		_, latest := c.Latest(t.Context(), subject)
		_, versions := c.Versions(t.Context(), subject)
		_, _, check := c.Check(t.Context(), subject, text)
		_, level := c.Level(t.Context(), subject)
		for i, err := range []error{register, lookup, latest, versions, check, level, c.SetLevel(t.Context(), subject, registry.Full)} {
			if !errors.Is(err, registry.ErrInvalid) {
				t.Errorf("call %d with subject %q: got error %v, want %v", i, subject, err, registry.ErrInvalid)
			}
		}
	}
	if got := reg.calls.Load(); got != 0 {
		t.Errorf("got %d calls, want none", got)
	}
}

func TestCredentialsGoToTheRegistryAndNowhereElse(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  registry.Config
		want string // user:password
	}{
		{name: "from their own settings", cfg: registry.Config{URL: "http://registry.test", Username: "ann", Password: "s3cret"}, want: "ann:s3cret"},
		{name: "from the URL", cfg: registry.Config{URL: "http://ann:s3cret@registry.test/base"}, want: "ann:s3cret"},
		{name: "their own settings win", cfg: registry.Config{URL: "http://bob:other@registry.test", Username: "ann", Password: "s3cret"}, want: "ann:s3cret"},
		{name: "none", cfg: registry.Config{URL: "http://registry.test"}, want: ":"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			reg := &answers{answer: func(_ int, req *http.Request) (int, string, error) {
				user, password, _ := req.BasicAuth()
				if got := user + ":" + password; got != tt.want {
					t.Errorf("got credentials %q, want %q", got, tt.want)
				}
				return http.StatusUnauthorized, "", nil
			}}
			tt.cfg.Transport = reg
			c, err := registry.New(tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got error %v, want one without the password", err)
			}
			if shown := fmt.Sprintf("%+v", tt.cfg.Password); strings.Contains(shown, "s3cret") {
				t.Errorf("printed: %s", shown)
			}
		})
	}
}

func TestConfigValidate(t *testing.T) {
	for _, tt := range []struct {
		name string
		url  string
		ok   bool
	}{
		{name: "http", url: "http://localhost:8081", ok: true},
		{name: "https with a path", url: "https://registry.example.com/apis/ccompat/v7", ok: true},
		{name: "several", url: "http://a:8081, http://b:8081", ok: true},
		{name: "none, where none is needed", url: "", ok: true},
		{name: "no scheme", url: "localhost:8081"},
		{name: "another scheme", url: "ftp://localhost"},
		{name: "no host", url: "http:///subjects"},
		{name: "a query", url: "http://localhost:8081?x=1"},
		{name: "only commas", url: " , "},
		{name: "nonsense with a password in it", url: "http://ann:s3cret@[::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := registry.Config{URL: tt.url}.Validate()
			if (err == nil) != tt.ok {
				t.Fatalf("got error %v, want one: %v", err, !tt.ok)
			}
			if err == nil {
				return
			}
			var problem config.Problem
			if !errors.As(err, &problem) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("got error %v, want a config.Problem without the password", err)
			}
			if _, err := registry.New(registry.Config{URL: tt.url}); err == nil {
				t.Error("New took it")
			}
		})
	}
}

func TestSeveralRegistriesAreTriedInTurn(t *testing.T) {
	var hosts []string
	reg := &answers{answer: func(_ int, req *http.Request) (int, string, error) {
		hosts = append(hosts, req.URL.Host)
		if req.URL.Host == "a" {
			return 0, "", errNetwork
		}
		return http.StatusOK, textBody, nil
	}}
	c, err := registry.New(registry.Config{URL: "http://a,http://b", Transport: reg})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.SchemaByID(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b"}, hosts); diff != "" {
		t.Errorf("hosts (-want +got):\n%s", diff)
	}
}

func TestTheConfigurationLoads(t *testing.T) {
	type program struct {
		Registry registry.Config `yaml:"registry"`
	}
	got, _, err := config.Load[program](config.Options{Environ: []string{
		"SCHEMA_REGISTRY_URL=http://localhost:8081", "SCHEMA_REGISTRY_USERNAME=ann", "SCHEMA_REGISTRY_PASSWORD=s3cret",
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := registry.Config{URL: "http://localhost:8081", Username: "ann", Password: "s3cret"}
	if diff := cmp.Diff(want, got.Registry); diff != "" {
		t.Errorf("configuration (-want +got):\n%s", diff)
	}
}

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/pkg/crm/hubspotfake"
	"github.com/sluicehq/sluice/pkg/crm/loyaltyfake"
	"github.com/sluicehq/sluice/pkg/crm/salesforcefake"
)

// crmSandbox is a Salesforce org, a HubSpot portal and a loyalty programme behind one address, the last two in folders of
// their own. They fit the targets of the writeback.yaml that is built in, and tell the front door what changes in them, as
// the real ones would.
type crmSandbox struct {
	url      string // of the address
	listener net.Listener
	server   *http.Server
	served   chan struct{}
	loyalty  *loyaltyfake.Sandbox
	hubspot  *hubspotfake.Sandbox
	org      *salesforcefake.Sandbox
}

// crmVariables are what the built-in file takes from the environment, with what the sandbox is for each.
func crmVariables(url string) map[string]string {
	return map[string]string{
		"SALESFORCE_URL": url, "SALESFORCE_CLIENT_ID": sandboxClient, "SALESFORCE_CLIENT_SECRET": sandboxClient,
		"HUBSPOT_URL": url + "/hubspot", "HUBSPOT_TOKEN": hubspotfake.DefaultToken,
		"LOYALTY_URL": url + "/loyalty/v1", "LOYALTY_KEY": loyaltyfake.DefaultKey,
	}
}

// sandboxClient is the connected app, and its secret, that the sandbox's org knows.
const sandboxClient = "sandbox"

// anyCRM reports whether somebody has set a variable of the built-in file: then the systems are real ones.
func anyCRM() bool {
	for name := range crmVariables("") {
		for _, variable := range []string{name, name + "_FILE"} {
			if os.Getenv(variable) != "" {
				return true
			}
		}
	}
	return false
}

// openCRM begins to listen; nobody is answered before serve.
func openCRM(ctx context.Context, addr string) (*crmSandbox, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("crm sandbox: %w", err)
	}
	return &crmSandbox{listener: ln, url: "http://" + ln.Addr().String()}, nil
}

// useCRM lets the file that is built in find the sandbox.
func (c *Config) useCRM(url string) {
	variables := crmVariables(url)
	c.Writeback.Environment = func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

// The objects and fields that the sandbox's org sends messages about: what the built-in file maps.
var orgMessages = []string{"Braze_External_Id__c", "Email", "FirstName", "LastName", "Phone", "HasOptedOutOfEmail", "Billing_Status__c", "LastModifiedById", "LastModifiedDate"}

// serve answers from now on, and tells a front door of changes; door is its URL, empty where there is none.
func (s *crmSandbox) serve(door, key string) error {
	s.hubspot = hubspotfake.New(hubspotfake.Options{MaxWrites: maxReceived, Webhook: hubspotfake.Webhook{URL: hook(door, "hubspot"), Secret: localKey}})
	s.loyalty = loyaltyfake.New(loyaltyfake.Options{MaxWrites: maxReceived, Changes: loyaltyfake.Changes{URL: under(door, "/v1/crm/changes"), Key: key, System: "loyalty"}})
	var told []salesforcefake.Outbound
	if door != "" {
		told = append(told, salesforcefake.Outbound{URL: hook(door, "salesforce"), Form: salesforcefake.SOAP, Key: config.Secret(localKey), Object: "Contact", Fields: orgMessages})
	}
	var err error
	if s.org, err = salesforcefake.New(salesforcefake.Options{URL: s.url, MaxWrites: maxReceived, Outbound: told}); err != nil {
		return fmt.Errorf("crm sandbox: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.org)
	mux.Handle("/hubspot/", http.StripPrefix("/hubspot", s.hubspot))
	mux.Handle("/loyalty/", http.StripPrefix("/loyalty", s.loyalty))
	s.server = hubspotfake.NewServer(s.hubspot) // for its limits on every wait
	s.server.Handler = mux
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		_ = s.server.Serve(s.listener) // until Close
	}()
	return nil
}

func under(door, path string) string {
	if door == "" {
		return ""
	}
	return door + path
}

func hook(door, source string) string { return under(door, "/v1/hooks/"+source) }

// Run tells of changes until ctx ends, as a service among the others.
func (s *crmSandbox) Run(ctx context.Context) error {
	var all sync.WaitGroup
	all.Go(func() { s.hubspot.Run(ctx) })
	all.Go(func() { s.loyalty.Run(ctx) })
	all.Wait()
	return nil
}

// Close ends the sandbox.
func (s *crmSandbox) Close() error {
	if s == nil {
		return nil
	}
	if s.server == nil {
		return s.listener.Close()
	}
	s.org.Close()
	err := s.server.Close()
	<-s.served
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

package httpsink

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"
)

// connect chooses the transport: the one of the client that is given, or, where the connection has
// settings of its own, one like it. Round trips are asked of it directly, since a client would follow
// redirects.
func (s *Sink) connect(client *http.Client) error {
	var given http.RoundTripper
	if client != nil {
		given = client.Transport
	}
	if given == nil {
		given = http.DefaultTransport
	}
	if !s.TLS.set() {
		s.transport = given
		return nil
	}
	conf, err := s.TLS.config()
	if err != nil {
		return err
	}
	if like, ok := given.(*http.Transport); ok {
		s.own = like.Clone()
	} else {
		s.own = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second}
	}
	s.own.TLSClientConfig, s.own.ForceAttemptHTTP2 = conf, true
	s.transport = s.own
	return nil
}

func (t TLS) config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading tls.ca_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading tls.ca_file %s: no certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading tls.cert_file: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

package httptarget

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"
)

// TLS is how the connection is protected, where the system's own authorities are not enough.
type TLS struct {
	CAFile     string `yaml:"ca_file" doc:"PEM file of the authorities to trust; the system's when empty"`
	CertFile   string `yaml:"cert_file" doc:"PEM file of the client certificate"`
	KeyFile    string `yaml:"key_file" doc:"PEM file of its key"`
	ServerName string `yaml:"server_name" doc:"name expected in the server's certificate, where it is not the URL's host"`
}

// connect chooses the transport: the one of the client that is given, or, where the connection has settings of its
// own, one like it.
func (t *Target) connect(given http.RoundTripper) error {
	t.client.Transport = given
	if t.TLS == (TLS{}) {
		return nil
	}
	conf, err := t.TLS.config()
	if err != nil {
		return err
	}
	if like, ok := given.(*http.Transport); ok {
		t.own = like.Clone()
	} else {
		t.own = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 64, IdleConnTimeout: 90 * time.Second}
	}
	t.own.TLSClientConfig, t.own.ForceAttemptHTTP2 = conf, true
	t.client.Transport = t.own
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

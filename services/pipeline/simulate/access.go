package simulate

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Access is how brokers let an upstream system in. The zero Access is plainly, without a name.
type Access struct {
	TLS                       bool
	CAFile, CertFile, KeyFile string // PEM; the system's authorities when there is no CAFile
	ServerName                string // expected in the brokers' certificate, where it is not the host

	Mechanism          string // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; none when empty
	Username, Password string
}

// transport is the same for kafka-go.
func (a Access) transport() (*kafka.Transport, error) {
	t := &kafka.Transport{ClientID: "sluice-simulate", DialTimeout: 10 * time.Second}
	var err error
	if a.TLS {
		if t.TLS, err = a.tls(); err != nil {
			return nil, err
		}
	}
	switch a.Mechanism {
	case "":
	case "PLAIN":
		t.SASL = plain.Mechanism{Username: a.Username, Password: a.Password}
	case "SCRAM-SHA-256":
		t.SASL, err = scram.Mechanism(scram.SHA256, a.Username, a.Password)
	case "SCRAM-SHA-512":
		t.SASL, err = scram.Mechanism(scram.SHA512, a.Username, a.Password)
	default:
		err = fmt.Errorf("kafka-go does not speak %s; it takes PLAIN or SCRAM", a.Mechanism)
	}
	return t, err
}

func (a Access) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: a.ServerName}
	if a.CAFile != "" {
		pem, err := os.ReadFile(a.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading the authorities to trust: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("reading the authorities to trust: no certificate in the file")
		}
	}
	if a.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(a.CertFile, a.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

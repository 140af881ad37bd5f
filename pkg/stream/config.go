package stream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/sluicehq/sluice/pkg/config"
)

// Config says where Kafka is and how to be let in.
type Config struct {
	Brokers     []string `yaml:"brokers" env:"KAFKA_BROKERS" doc:"bootstrap brokers as host:port, a comma list"`
	TopicPrefix string   `yaml:"topic_prefix" env:"TOPIC_PREFIX" doc:"put before every topic name and consumer group"`
	ClientID    string   `yaml:"client_id" env:"KAFKA_CLIENT_ID" doc:"name in the brokers' logs and quotas; the service's name when empty"`
	Compression string   `yaml:"compression" env:"KAFKA_COMPRESSION" default:"lz4" oneof:"none lz4 zstd snappy gzip" doc:"how batches of records are compressed"`

	// CreateTopics lets a service create the topics it needs where they are missing. It never alters
	// one that exists: that is what sluice topics apply is for.
	CreateTopics      bool  `yaml:"create_topics" env:"KAFKA_CREATE_TOPICS" default:"true" doc:"create missing topics at start"`
	Partitions        int32 `yaml:"partitions" env:"KAFKA_PARTITIONS" default:"12" min:"1" max:"10000" doc:"partitions of topics that are created; the same for all topics keyed by user"`
	ReplicationFactor int16 `yaml:"replication_factor" env:"KAFKA_REPLICATION_FACTOR" default:"-1" min:"-1" max:"15" doc:"replicas of topics that are created; -1 takes the brokers' default"`

	// SessionTimeout is how long the partitions of a member that was killed stand still. Shorter takes a
	// member that is only slow, or cut off for a moment, for a dead one. The brokers have bounds of their own,
	// group.min.session.timeout.ms and group.max.session.timeout.ms.
	SessionTimeout time.Duration `yaml:"session_timeout" env:"KAFKA_SESSION_TIMEOUT" default:"45s" min:"1s" max:"30m" doc:"how long the group waits for a member that gives no sign of life before its partitions go to others"`

	TLS  TLS  `yaml:"tls"`
	SASL SASL `yaml:"sasl"`
}

// TLS is how the connection to the brokers is protected.
type TLS struct {
	Enabled    bool   `yaml:"enabled" env:"KAFKA_TLS_ENABLED" default:"false" doc:"connect to the brokers over TLS"`
	CAFile     string `yaml:"ca_file" env:"KAFKA_TLS_CA_FILE" doc:"PEM file of the authorities to trust; the system's when empty"`
	CertFile   string `yaml:"cert_file" env:"KAFKA_TLS_CERT_FILE" doc:"PEM file of the client certificate, for mutual TLS"`
	KeyFile    string `yaml:"key_file" env:"KAFKA_TLS_KEY_FILE" doc:"PEM file of the client certificate's key"`
	ServerName string `yaml:"server_name" env:"KAFKA_TLS_SERVER_NAME" doc:"name expected in the brokers' certificate, where it is not the host dialled"`
}

// SASL is how we say who we are.
type SASL struct {
	Mechanism string        `yaml:"mechanism" env:"KAFKA_SASL_MECHANISM" oneof:"PLAIN SCRAM-SHA-256 SCRAM-SHA-512 OAUTHBEARER" doc:"SASL mechanism; none when empty"`
	Username  string        `yaml:"username" env:"KAFKA_SASL_USERNAME" doc:"user name, or the client id for OAUTHBEARER"`
	Password  config.Secret `yaml:"password" env:"KAFKA_SASL_PASSWORD" doc:"password, or the client secret for OAUTHBEARER"`
	TokenURL  string        `yaml:"token_url" env:"KAFKA_SASL_TOKEN_URL" doc:"where OAUTHBEARER gets its tokens, by client credentials"`
	Scopes    []string      `yaml:"scopes" env:"KAFKA_SASL_SCOPES" doc:"scopes to ask for with OAUTHBEARER, a comma list"`
}

// Validate reports what cannot work together.
func (c Config) Validate() error {
	var problems []error
	if len(c.Brokers) == 0 {
		problems = append(problems, config.Problem{Field: "brokers", Allowed: "at least one host:port is needed"})
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		problems = append(problems, config.Problem{Field: "tls.cert_file", Value: c.TLS.CertFile, Allowed: "both cert_file and key_file, or neither"})
	}
	if c.SASL.Mechanism != "" && (c.SASL.Username == "" || c.SASL.Password.Reveal() == "") {
		problems = append(problems, config.Problem{Field: "sasl.username", Value: c.SASL.Username, Allowed: "a user name and a password for " + c.SASL.Mechanism})
	}
	if c.SASL.Mechanism == "OAUTHBEARER" && c.SASL.TokenURL == "" {
		problems = append(problems, config.Problem{Field: "sasl.token_url", Allowed: "the URL of the token endpoint is needed for OAUTHBEARER"})
	}
	return errors.Join(problems...)
}

// Topic is the name on the cluster of the topic that we call name.
func (c Config) Topic(name string) string { return c.TopicPrefix + name }

// Group is the consumer group on the cluster of the service that we call name.
func (c Config) Group(name string) string { return c.TopicPrefix + name }

// patient is an option for clients that work for long: a broker that is going down may close a
// connection before its first answer, which the library otherwise takes for a wrong TLS or SASL setting
// and does not try again. Short-lived clients go without it, so that such a setting is said at once.
func patient() kgo.Opt { return kgo.AlwaysRetryEOF() }

func (c Config) options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID(c.ClientID),
		kgo.DialTimeout(10 * time.Second),
		// A leader that has just moved is found again in a fraction of the default five seconds.
		kgo.MetadataMinAge(250 * time.Millisecond),
	}
	if c.TLS.Enabled {
		t, err := c.TLS.config()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	if c.SASL.Mechanism != "" {
		opts = append(opts, kgo.SASL(c.SASL.mechanism()))
	}
	return opts, nil
}

func (t TLS) config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("reading KAFKA_TLS_CA_FILE: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("reading KAFKA_TLS_CA_FILE %s: no certificate in it", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("reading KAFKA_TLS_CERT_FILE: %w", err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

func (s SASL) mechanism() sasl.Mechanism {
	user, password := s.Username, s.Password.Reveal()
	switch s.Mechanism {
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	case "OAUTHBEARER":
		source := clientcredentials.Config{ClientID: user, ClientSecret: password, TokenURL: s.TokenURL, Scopes: s.Scopes}
		tokens := source.TokenSource(context.Background()) // renews by itself
		return oauth.Oauth(func(context.Context) (oauth.Auth, error) {
			token, err := tokens.Token()
			if err != nil {
				return oauth.Auth{}, fmt.Errorf("fetching the token for Kafka: %w", err)
			}
			return oauth.Auth{Token: token.AccessToken}, nil
		})
	default:
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	}
}

func (c Config) codec() kgo.CompressionCodec {
	switch c.Compression {
	case "none":
		return kgo.NoCompression()
	case "zstd":
		return kgo.ZstdCompression()
	case "snappy":
		return kgo.SnappyCompression()
	case "gzip":
		return kgo.GzipCompression()
	default:
		return kgo.Lz4Compression()
	}
}

package table_test

import (
	"context"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/table/tabletest"
)

func TestMain(m *testing.M) { os.Exit(tabletest.Main(m)) }

func TestTableOnTheEmbeddedBroker(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	tabletest.Run(t, cluster(t, broker.Brokers()))
}

func TestTableOnApacheKafka(t *testing.T) {
	tabletest.Run(t, cluster(t, kafkatest.Brokers(t)))
}

func cluster(t *testing.T, brokers []string) tabletest.Cluster {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return tabletest.Cluster{
		Brokers: brokers,
		DeleteTopic: func(ctx context.Context, topic string) error {
			_, err := kadm.NewClient(client).DeleteTopic(ctx, topic)
			return err
		},
	}
}

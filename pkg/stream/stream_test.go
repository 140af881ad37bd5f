package stream_test

import (
	"testing"

	"github.com/sluicehq/sluice/pkg/kafkatest"
	"github.com/sluicehq/sluice/pkg/stream/embedded"
	"github.com/sluicehq/sluice/pkg/stream/streamtest"
)

func TestStreamOnTheEmbeddedBroker(t *testing.T) {
	broker, err := embedded.Start(t.Context(), embedded.Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	})
	streamtest.Run(t, broker.Brokers())
}

func TestStreamOnApacheKafka(t *testing.T) {
	streamtest.Run(t, kafkatest.Brokers(t))
}

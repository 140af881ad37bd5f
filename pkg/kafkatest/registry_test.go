package kafkatest_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/sluicehq/sluice/pkg/kafkatest"
)

func TestRegistryRefusesWhatReadersCouldNotRead(t *testing.T) {
	t.Parallel()
	cl := newRegistry(t)
	const subject = "orders-value"
	const order = `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"}]}`

	first := register(t, cl, subject, order)

	t.Run("the same schema again has the same id", func(t *testing.T) {
		if again := register(t, cl, subject, order); again != first {
			t.Errorf("first %d, then %d", first, again)
		}
	})
	t.Run("the same schema under another subject has the same id", func(t *testing.T) {
		if other := register(t, cl, "returns-value", order); other != first {
			t.Errorf("%d there, %d here", other, first)
		}
	})
	t.Run("a field without a default is refused with 409", func(t *testing.T) {
		_, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"total","type":"string"}]}`})
		wantStatus(t, err, http.StatusConflict)
	})
	t.Run("a field with a default is a new version", func(t *testing.T) {
		if id := register(t, cl, subject, `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"note","type":"string","default":""}]}`); id == first {
			t.Errorf("another schema has the same id, %d", id)
		}
	})
	t.Run("what fits the newest version and not the oldest is refused: the rule is transitive", func(t *testing.T) {
		// Without the default it can still be read from version 2, which has note, and not from version 1.
		_, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: `{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"note","type":"string"}]}`})
		wantStatus(t, err, http.StatusConflict)
	})
	t.Run("what is no Avro is refused with 422", func(t *testing.T) {
		_, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: `{"type":"rekord"}`})
		wantStatus(t, err, http.StatusUnprocessableEntity)
	})
}

func newRegistry(t *testing.T) *sr.Client {
	t.Helper()
	r, err := kafkatest.StartRegistry(t.Context(), kafkatest.RegistryConfig{Progress: func(step string) { t.Log(step) }})
	skipIfLacking(t, err)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("closing the registry: %v", err)
		}
	})
	cl, err := sr.NewClient(sr.URLs(r.URL()))
	if err != nil {
		t.Fatal(err)
	}
	return cl
}

func register(t *testing.T, cl *sr.Client, subject, schema string) int {
	t.Helper()
	s, err := cl.CreateSchema(t.Context(), subject, sr.Schema{Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	return s.ID
}

func wantStatus(t *testing.T, err error, want int) {
	t.Helper()
	refusal, ok := errors.AsType[*sr.ResponseError](err)
	if !ok || refusal.StatusCode != want {
		t.Errorf("got %v, want status %d", err, want)
	}
}

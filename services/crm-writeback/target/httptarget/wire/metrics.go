package wire

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Registered registers a metric and returns it; a registerer of nil counts for nobody. A target that is opened again goes
// on where it was.
func Registered[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	if reg == nil {
		return c
	}
	err := reg.Register(c)
	if known, ok := errors.AsType[prometheus.AlreadyRegisteredError](err); ok {
		if same, ok := known.ExistingCollector.(C); ok {
			return same
		}
	}
	if err != nil {
		panic(err) // two metrics of one name: a mistake in the program
	}
	return c
}

package currentsfanout

import (
	"time"

	"github.com/sluicehq/sluice/services/currents-fanout/filesink"
	"github.com/sluicehq/sluice/services/currents-fanout/httpsink"
	"github.com/sluicehq/sluice/services/currents-fanout/kafkasink"
	"github.com/sluicehq/sluice/services/currents-fanout/pgsink"
)

// BuiltIn are the kinds of sinks that there are.
var BuiltIn = Kinds{
	"http":     KindOf(httpsink.Open),
	"kafka":    KindOf(kafkasink.Open),
	"postgres": KindOf(pgsink.Open).prefers(Batch{Events: 5_000, Bytes: 4 << 20}),
	"files":    KindOf(filesink.Open).prefers(Batch{Events: 100_000, Bytes: 16 << 20, Linger: time.Minute}),
}

// prefers gives a kind defaults of its own for batches.
func (k Kind) prefers(b Batch) Kind {
	k.Batch = b
	return k
}

package brazesender

import (
	"crypto/rand"
	"strconv"
	"sync/atomic"
)

// requestIDs names the requests of a process, so that receipts and logs can say which records went
// together. Braze takes no id of ours.
type requestIDs struct {
	prefix string
	n      *atomic.Uint64
}

func newRequestIDs() requestIDs {
	return requestIDs{rand.Text()[:8] + "-", new(atomic.Uint64)}
}

func (r requestIDs) next() string { return r.prefix + strconv.FormatUint(r.n.Add(1), 36) }

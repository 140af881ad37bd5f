package contentcacher

import (
	"maps"
	"sync"
	"time"

	"github.com/sluicehq/sluice/services/content-cacher/larder"
)

// known is of which topic, and up to where of it, the shelf is, and when that was all there was.
type known struct {
	mu   sync.Mutex
	mark larder.Mark
}

func (k *known) get() larder.Mark {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.mark
	m.Offsets = maps.Clone(m.Offsets)
	return m
}

func (k *known) set(m larder.Mark) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mark = m
}

// seen says that everything before next has been seen of a partition.
func (k *known) seen(partition int32, next int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mark.Offsets[partition] = next
}

// heard says that this was everything at a moment.
func (k *known) heard(at time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.mark.At = at
}

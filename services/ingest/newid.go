package ingest

import (
	"encoding/hex"
	"math/rand/v2"
	"time"
)

// appendID appends a fresh id, a UUID of version 7, which begins with the time and so sorts by it.
// It need not be hard to guess, only unique.
func appendID(dst []byte, now time.Time) []byte {
	ms := uint64(now.UnixMilli())
	a, b := rand.Uint64(), rand.Uint64()
	id := [16]byte{
		byte(ms >> 40), byte(ms >> 32), byte(ms >> 24), byte(ms >> 16), byte(ms >> 8), byte(ms),
		0x70 | byte(a>>8)&0x0f, byte(a),
		0x80 | byte(b>>56)&0x3f, byte(b >> 48), byte(b >> 40), byte(b >> 32), byte(b >> 24), byte(b >> 16), byte(b >> 8), byte(b),
	}
	dst = hex.AppendEncode(dst, id[:4])
	dst = hex.AppendEncode(append(dst, '-'), id[4:6])
	dst = hex.AppendEncode(append(dst, '-'), id[6:8])
	dst = hex.AppendEncode(append(dst, '-'), id[8:10])
	return hex.AppendEncode(append(dst, '-'), id[10:])
}

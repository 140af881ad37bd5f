package table

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/sluicehq/sluice/pkg/stream"
)

// TestDamageIsNoticedWhereverItIs turns a bit in every file of one kind, and reads everything.
func TestDamageIsNoticedWhereverItIs(t *testing.T) {
	for _, kind := range []string{"sst", "blob"} {
		t.Run(kind, func(t *testing.T) {
			dir, s := t.TempDir(), &sink{}
			p := localProcessor(t, StoreOptions{Dir: dir, Log: zerolog.Nop()}, 1)
			const keys = 500
			p.batch(t, s, func(tx *Tx) error {
				for i := range keys {
					if err := tx.Put(0, fmt.Appendf(nil, "k%d", i), bytes.Repeat([]byte{byte(i)}, 300), time.Time{}); err != nil {
						return err
					}
				}
				return nil
			})
			if err := errors.Join(p.writeHot(), p.store.Close()); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*", "*."+kind))
			if err != nil || len(files) == 0 {
				t.Fatalf("files %v, %v", files, err)
			}
			for _, name := range files {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				b[len(b)/4] ^= 1
				if err := os.WriteFile(name, b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			p = localProcessor(t, StoreOptions{Dir: dir, Log: zerolog.Nop()}, 1)
			if p.store.Stats().Wiped > 0 {
				t.Log("noticed at once")
				return // it was noticed at once
			}
			if err := p.begin(&stream.Batch{Now: time.Now()}); err != nil {
				t.Fatal(err)
			}
			for i := range keys {
				_, ok, err := p.tx.Get(0, fmt.Appendf(nil, "k%d", i))
				if damaged(err) {
					if p.store.sound(p.epoch) {
						t.Error("a damaged copy is held for sound")
					}
					epoch, err := p.store.renew()
					if err != nil || epoch == p.epoch || p.store.Stats().Wiped != 1 {
						t.Errorf("renewed: epoch %d, %v, %+v", epoch, err, p.store.Stats())
					}
					if _, _, err := p.tx.Get(0, []byte("k")); !errors.Is(err, errRenewed) {
						t.Errorf("asked with the old epoch: %v", err)
					}
					return
				}
				if err != nil || !ok {
					t.Fatalf("k%d: %t, %v", i, ok, err)
				}
			}
			t.Error("nothing was noticed")
		})
	}
}

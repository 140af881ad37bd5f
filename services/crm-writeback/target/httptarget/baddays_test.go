package httptarget

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluicehq/sluice/pkg/crm/loyaltyfake"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// direct hands requests to a handler without a network, so that time may be made.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	defer func() {
		if recover() != nil { // http.ErrAbortHandler: it hung up
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// Whatever goes wrong, each row ends, in the fewest calls but for those that came to nothing, and a member has what was
// written last.
func TestEveryRowEndsOnBadDays(t *testing.T) {
	for seed := range uint64(5) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := loyaltyfake.New(loyaltyfake.Options{Seed: seed})
				s.SetKnobs(loyaltyfake.Knobs{P5xxBefore: 0.1, P5xxAfter: 0.2, PDropBefore: 0.1, PDropAfter: 0.2})
				o := preset(t, "loyalty_batch.yaml", "http://loyalty.example/v1")
				o.Auth.Secret = loyaltyfake.DefaultKey
				made, err := Open(t.Context(), o, target.Deps{HTTP: &http.Client{Transport: direct{s}}})
				if err != nil {
					t.Fatal(err)
				}
				const members, rounds = 200, 3
				calls, fates := 0, map[string]int{}
				for round := range rounds {
					all := rows(members, upsert, "")
					for i, r := range all {
						r.ID = fmt.Sprintf("%d-%s", round, r.ID)
						r.Fields = fmt.Appendf(nil, `{"points":%d}`, 1000*round+i)
						if i%50 == 7 {
							r.Fields = []byte(`{"points":"many"}`)
						}
					}
					for len(all) > 0 && calls < 1000 {
						n := min(made.Form().Rows, len(all))
						calls++
						a := made.Write(t.Context(), all[:n])
						if a.Of(0).Kind.Final() {
							for i := range n {
								fates[a.Of(i).Kind.String()+" "+a.Of(i).Reason]++
							}
							all = all[n:]
							continue
						}
						timer := time.NewTimer(time.Second)
						<-timer.C
					}
				}
				bad := rounds * members / 50
				if fates["delivered "] != rounds*members-bad || fates["refused invalid_points"] != bad || len(fates) != 2 {
					t.Errorf("%v in %d calls", fates, calls)
				}
				// The idempotency key of a batch: an answer that was lost makes no second write.
				if n := len(s.Writes()); n != rounds*members-bad {
					t.Errorf("%d writes", n)
				}
				for i := range members {
					m, known := s.Member(fmt.Sprintf("m-%04d", i))
					if i%50 == 7 {
						if known {
							t.Errorf("member %d was made", i)
						}
						continue
					}
					if want := fmt.Sprint(1000*(rounds-1) + i); string(m.Fields["points"]) != want || m.Version != rounds {
						t.Errorf("member %d: %+v, want %s", i, m, want)
					}
				}
			})
		})
	}
}

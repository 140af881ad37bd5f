package brazefake_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// quotaOf is what an answer's headers say of the quota: limit, remaining, reset, retry after.
func quotaOf(r *http.Response) [4]string {
	h := r.Header
	return [4]string{h.Get("X-RateLimit-Limit"), h.Get("X-RateLimit-Remaining"), h.Get("X-RateLimit-Reset"), h.Get("X-RateLimit-Retry-After")}
}

func TestTheQuotaIsCountedInWindowsAndSpokenOfInTwoDialects(t *testing.T) {
	tests := []struct {
		dialect string
		want    [][4]string // for three requests at once and one in the next window; the bubble's clock begins in 2000
	}{
		{brazefake.DialectEpoch, [][4]string{
			{"2", "1", "946684803", ""}, {"2", "0", "946684803", ""}, {"2", "0", "946684803", ""}, {"2", "1", "946684806", ""},
		}},
		{brazefake.DialectDelta, [][4]string{
			{"2", "1", "3", ""}, {"2", "0", "3", ""}, {"", "", "", "3"}, {"2", "1", "3", ""},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.dialect, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{RateLimit: 2, RateWindow: 3 * time.Second, Dialect: tt.dialect}})
				var got [][4]string
				var statuses []int
				for i := range 4 {
					if i == 3 {
						<-time.After(3 * time.Second)
					}
					r := post(s, events(1))
					got, statuses = append(got, quotaOf(r)), append(statuses, r.StatusCode)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("headers (-want +got):\n%s", diff)
				}
				if diff := cmp.Diff([]int{201, 201, 429, 201}, statuses); diff != "" {
					t.Errorf("statuses (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestWithoutALimitNothingIsSaidOfQuota(t *testing.T) {
	s := brazefake.New(brazefake.Options{})
	if got := quotaOf(post(s, events(1))); got != [4]string{} {
		t.Errorf("headers %q", got)
	}
}

func TestA429ByChanceAsksToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for dialect, want := range map[string][4]string{
			brazefake.DialectEpoch: {"5", "0", "946684802", ""},
			brazefake.DialectDelta: {"", "", "", "2"},
		} {
			s := brazefake.New(brazefake.Options{Knobs: brazefake.Knobs{P429: 1, RateLimit: 5, RetryAfter: 2 * time.Second, Dialect: dialect}})
			r := post(s, events(1))
			if got := quotaOf(r); r.StatusCode != 429 || got != want {
				t.Errorf("%s: status %d, headers %q, want 429 and %q", dialect, r.StatusCode, got, want)
			}
			if _, found := s.Profile("crm-1"); found {
				t.Error("a throttled request was applied")
			}
		}
	})
}

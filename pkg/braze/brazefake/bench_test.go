package brazefake_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/braze"
	"github.com/sluicehq/sluice/pkg/braze/brazefake"
)

// full is a body of 75 events of 75 users, of about 300 bytes each.
func full(n int64) string {
	var b strings.Builder
	for i := range int64(braze.MaxObjects) {
		fmt.Fprintf(&b, `,{"external_id":"crm-%d","name":"invoice_issued","time":"2026-03-04T05:06:07.000Z","properties":{"invoice_no":"R-%d","amount":12.5,`+
			`"currency":"EUR","paid":true,"due":"2026-04-01","lines":[{"sku":"P1-red","quantity":1,"price":43.0},{"sku":"P2","quantity":4,"price":2.5}]}}`, n*braze.MaxObjects+i, i)
	}
	return `{"events":[` + b.String()[1:] + `]}`
}

func BenchmarkTrack(b *testing.B) {
	bodies := make([]string, 256)
	for i := range bodies {
		bodies[i] = full(int64(i))
	}
	for name, options := range map[string]brazefake.Options{
		"forgetting":  {Forget: true},
		"remembering": {MaxProfiles: 100_000, MaxEventsPerUser: 20, MaxReceived: 10_000},
	} {
		b.Run("handler/"+name, func(b *testing.B) {
			s := brazefake.New(options)
			var n atomic.Int64
			b.SetBytes(int64(len(bodies[0])))
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r := httptest.NewRequest(http.MethodPost, "/users/track", strings.NewReader(bodies[n.Add(1)%int64(len(bodies))]))
					r.Header.Set("Authorization", "Bearer sandbox")
					r.Header.Set("Content-Type", "application/json")
					s.ServeHTTP(httptest.NewRecorder(), r)
				}
			})
			b.ReportMetric(float64(b.N*braze.MaxObjects)/b.Elapsed().Seconds(), "objects/s")
		})
		b.Run("loopback/"+name, func(b *testing.B) {
			s := brazefake.New(options)
			c := serve(b, s, time.Minute)
			var n atomic.Int64
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					body := []byte(bodies[n.Add(1)%int64(len(bodies))])
					if a := c.Track(b.Context(), body, [3]int{0, braze.MaxObjects, 0}); a.Verdict != braze.Accepted || len(a.Items) > 0 {
						b.Fatal(a)
					}
				}
			})
			b.ReportMetric(float64(b.N*braze.MaxObjects)/b.Elapsed().Seconds(), "objects/s")
		})
	}
}

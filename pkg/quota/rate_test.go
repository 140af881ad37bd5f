package quota_test

import (
	"encoding"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sluicehq/sluice/pkg/quota"
)

var (
	_ encoding.TextMarshaler   = quota.Rate{}
	_ encoding.TextUnmarshaler = (*quota.Rate)(nil)
)

func TestParseRateReadsWhatPeopleWrite(t *testing.T) {
	tests := []struct {
		text string
		want quota.Rate
		back string // how it is written
	}{
		{text: "3000/3s", want: quota.Rate{Count: 3000, Per: 3 * time.Second}, back: "3000/3s"},
		{text: " 3000 / 3s ", want: quota.Rate{Count: 3000, Per: 3 * time.Second}, back: "3000/3s"},
		{text: "100/s", want: quota.Rate{Count: 100, Per: time.Second}, back: "100/1s"},
		{text: "250000/h", want: quota.Rate{Count: 250000, Per: time.Hour}, back: "250000/1h"},
		{text: "20000/1m", want: quota.Rate{Count: 20000, Per: time.Minute}, back: "20000/1m"},
		{text: "7/1h30m", want: quota.Rate{Count: 7, Per: 90 * time.Minute}, back: "7/1h30m"},
		{text: "5/250ms", want: quota.Rate{Count: 5, Per: 250 * time.Millisecond}, back: "5/250ms"},
		{text: "5/10m10s", want: quota.Rate{Count: 5, Per: 610 * time.Second}, back: "5/10m10s"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			var got quota.Rate
			if err := got.UnmarshalText([]byte(tt.text)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rate (-want +got):\n%s", diff)
			}
			back, err := got.MarshalText()
			if err != nil || string(back) != tt.back {
				t.Errorf("MarshalText() = %q, %v, want %q", back, err, tt.back)
			}
			again, err := quota.ParseRate(string(back))
			if err != nil || again != got {
				t.Errorf("reading %q back gives %v, %v", back, again, err)
			}
		})
	}
}

func TestParseRateRefusesTheRest(t *testing.T) {
	for _, text := range []string{
		"", "3000", "/3s", "3000/", "0/3s", "-1/3s", "3000/0s", "3000/-3s", "3000/3", "3000/3 apples",
		"1.5/s", "1e3/s", "99999999999999999999/s", "2000000000/s", "1/1ns", "1/1000000h", "3000/3s/3s",
	} {
		t.Run(text, func(t *testing.T) {
			got := quota.Rate{Count: 1, Per: time.Second}
			if err := got.UnmarshalText([]byte(text)); err == nil {
				t.Errorf("read as %v, want an error", got)
			}
			if got != (quota.Rate{Count: 1, Per: time.Second}) {
				t.Errorf("the rate became %v, want it untouched", got)
			}
		})
	}
}

package yamlfile_test

import (
	"fmt"
	"testing"

	"github.com/sluicehq/sluice/pkg/yamlfile"
)

func TestSizesAreWrittenAsTheyAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"1MiB": "1MiB", "1048576": "1MiB", "64 KiB": "64KiB", "1MB": "1000000", "5": "5", "2GiB": "2GiB", "0": "0", "-1": "", "x": "", "9223372036854775807GiB": ""} {
		var s yamlfile.Size
		err := s.UnmarshalText([]byte(text))
		if got := fmt.Sprint(s); (err != nil) != (want == "") || err == nil && got != want {
			t.Errorf("%s is %s, %v; want %q", text, got, err, want)
		}
	}
}

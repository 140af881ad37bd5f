package config

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// FuzzYAML: whatever the file holds, loading ends without a panic, and no problem tells the secret that
// the environment gave. The seeds are in testdata/fuzz.
func FuzzYAML(f *testing.F) {
	const secret = "correct-horse-battery"
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			return // the parser is quadratic in depth
		}
		var c testConfig
		v := reflect.ValueOf(&c).Elem()
		l := newLoader(v, Options{Environ: []string{"BRAZE_API_KEY=" + secret}})
		l.file = "sluice.yaml"
		l.readYAML(v, data)
		l.finish(v)
		said := l.problems.Error() + string(l.report(v).YAML())
		if strings.Contains(said, secret) && !bytes.Contains(data, []byte(secret)) {
			t.Error(said)
		}
	})
}

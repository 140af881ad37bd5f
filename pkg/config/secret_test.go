package config

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/rs/zerolog"
)

func TestSecretIsNeverPrinted(t *testing.T) {
	const value = "hunter2"
	type holder struct {
		S Secret            `json:"s" yaml:"s"`
		M map[string]Secret `json:"m" yaml:"m"`
	}
	h := holder{S: value, M: map[string]Secret{"k": value}}

	var printed bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%10s"} {
		_, _ = fmt.Fprintf(&printed, verb+"\n", h.S)
		_, _ = fmt.Fprintf(&printed, verb+"\n", h)
		_, _ = fmt.Fprintf(&printed, verb+"\n", &h)
	}
	j, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	x, err := xml.Marshal(h.S)
	if err != nil {
		t.Fatal(err)
	}
	printed.Write(bytes.Join([][]byte{j, y, x}, nil))
	slog.New(slog.NewJSONHandler(&printed, nil)).Info("m", "secret", h.S, "holder", h)
	slog.New(slog.NewTextHandler(&printed, nil)).Info("m", "secret", h.S, "holder", h)
	log := zerolog.New(&printed)
	log.Info().Stringer("a", h.S).Interface("b", h).Any("c", h.S).Msg("m")
	if hex := fmt.Sprintf("%x", value); strings.Contains(printed.String(), value) || strings.Contains(printed.String(), hex) {
		t.Error(printed.String())
	}
}

func TestSecretSaysWhetherItIsSet(t *testing.T) {
	if got := fmt.Sprintf("%v %s", Secret("x"), Secret("")); got != "set unset" {
		t.Errorf("got %q", got)
	}
}

func TestSecretEqual(t *testing.T) {
	for _, tc := range []struct {
		name   string
		secret Secret
		given  string
		want   bool
	}{
		{name: "the same", secret: "a-key", given: "a-key", want: true},
		{name: "another of the same length", secret: "a-key", given: "b-key"},
		{name: "a prefix", secret: "a-key", given: "a-k"},
		{name: "nothing given", secret: "a-key"},
		{name: "an unset secret opens to nobody"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.secret.Equal(tc.given); got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}

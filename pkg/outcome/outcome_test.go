package outcome_test

import (
	"testing"

	"github.com/sluicehq/sluice/pkg/outcome"
)

func TestTheWordsAreFourAndReadBack(t *testing.T) {
	want := map[outcome.Kind]string{
		outcome.Delivered: "delivered", outcome.Skipped: "skipped", outcome.Refused: "refused", outcome.Deferred: "deferred",
	}
	for kind, word := range want {
		if kind.String() != word {
			t.Errorf("%d is called %q, want %q", kind, kind, word)
		}
		if got, ok := outcome.Parse(word); !ok || got != kind {
			t.Errorf("%q is read as %v", word, got)
		}
		if kind.Final() == (kind == outcome.Deferred) {
			t.Errorf("%v: final = %v", kind, kind.Final())
		}
	}
}

func TestAForgottenOutcomeIsNoOutcome(t *testing.T) {
	var forgotten outcome.Kind
	if forgotten.Final() || forgotten.String() != "" {
		t.Error("the zero value passes for something")
	}
	if _, ok := outcome.Parse(""); ok {
		t.Error("an empty word is read as an outcome")
	}
}

package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError adds to the complaint about an unknown flag the one that may have been meant.
func flagError(c *cobra.Command, err error) error {
	_, typed, unknown := strings.Cut(err.Error(), "unknown flag: --")
	if !unknown {
		return err
	}
	nearest, distance := "", len(typed)/2+1
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if d := edits(typed, f.Name); d < distance {
			nearest, distance = f.Name, d
		}
	})
	if nearest == "" {
		return err
	}
	return fmt.Errorf("%w; did you mean --%s?", err, nearest)
}

// edits is how many letters have to be put in, taken out or replaced to make b of a.
func edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

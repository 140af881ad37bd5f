package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/mattn/go-isatty"
)

// onTerminal says whether a person reads along.
func onTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && isatty.IsTerminal(file.Fd())
}

// say tells the person who runs the command something. It is never data.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.stderr, format+"\n", args...)
}

// table writes rows under headings: aligned for a person, apart by tabs for a program.
func (a *app) table(headings []string, rows [][]string) error {
	w := a.stdout
	if !onTerminal(w) {
		for _, row := range append([][]string{headings}, rows...) {
			if _, err := fmt.Fprintln(w, strings.Join(row, "\t")); err != nil {
				return err
			}
		}
		return nil
	}
	aligned := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(aligned, strings.Join(headings, "\t"))
	for _, row := range rows {
		_, _ = fmt.Fprintln(aligned, strings.Join(row, "\t"))
	}
	return aligned.Flush() // which reports what any of the writes met
}

// json writes a value, indented, without making & and < unreadable.
func (a *app) json(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// The colours that mean something.
const (
	green = "32"
	red   = "31"
)

// paint colours a text for a terminal that wants colours.
func (a *app) paint(w io.Writer, colour, text string) string {
	if !onTerminal(w) || a.env("NO_COLOR") != "" || a.env("TERM") == "dumb" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

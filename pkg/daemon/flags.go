package daemon

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/sluicehq/sluice/pkg/config"
)

// flags are what a service's command line can say; everything else is configuration.
type flags struct {
	config  string
	print   printForm
	check   bool
	version bool
}

// usageError is a command line that cannot be understood.
type usageError string

func (e usageError) Error() string { return string(e) }

// errHelped says that help was asked for and given.
var errHelped = errors.New("help was given")

// parse reads the command line, of which fields describes the configuration beside it.
func (c *command) parse(fields []config.Field) (flags, error) {
	var f flags
	set := flag.NewFlagSet(c.name, flag.ContinueOnError)
	set.SetOutput(io.Discard) // errors are ours to explain
	set.StringVar(&f.config, "config", "", "")
	set.Var(&f.print, "print-config", "")
	set.BoolVar(&f.check, "check-config", false, "")
	set.BoolVar(&f.version, "version", false, "")
	switch err := set.Parse(c.args); {
	case errors.Is(err, flag.ErrHelp):
		if err := c.help(fields); err != nil {
			return f, err
		}
		return f, errHelped
	case err != nil:
		return f, usageError(err.Error())
	case set.NArg() > 0:
		return f, usageError(fmt.Sprintf("unexpected argument %q", set.Arg(0)))
	}
	return f, nil
}

// help writes usage: an example first, then flags, then every variable.
func (c *command) help(fields []config.Field) error {
	var needed strings.Builder
	for _, f := range fields {
		if f.Required && f.Default == "" && f.Env != "" {
			fmt.Fprintf(&needed, "%s=… ", f.Env)
		}
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, `%[1]s %[2]s

Example:
  %[3]s%[1]s --config sluice.yaml

Flags:
  --config FILE`+"\t"+`YAML file to read; the environment overrides it (SLUICE_CONFIG)
  --check-config`+"\t"+`check the configuration and exit: 0 in order, 78 not
  --print-config[=FORM]`+"\t"+`print each value with its origin, without secrets, and exit; FORM is yaml, json or table
  --version`+"\t"+`print the version and exit
  -h, --help`+"\t"+`print this and exit

Environment:
`, c.name, ReadBuild(), needed.String())
	for _, f := range fields {
		if f.Env != "" {
			_, _ = fmt.Fprintf(w, "  %s\t%s\n", f.Env, purpose(f))
		}
	}
	return w.Flush() // which reports what any of the writes met
}

func purpose(f config.Field) string {
	var notes []string
	switch {
	case f.Default != "":
		notes = append(notes, "default "+f.Default)
	case f.Required:
		notes = append(notes, "required")
	}
	if f.Limits != "" {
		notes = append(notes, f.Limits)
	}
	if f.File {
		notes = append(notes, "also "+f.Env+"_FILE")
	}
	if len(notes) == 0 {
		return f.Doc
	}
	return f.Doc + " (" + strings.Join(notes, "; ") + ")"
}

// printForm is --print-config: absent, or the form in which to print.
type printForm string

// String is the form.
func (p *printForm) String() string { return string(*p) }

// IsBoolFlag lets the flag stand without a value.
func (p *printForm) IsBoolFlag() bool { return true }

// Set reads the form; "true" is what package flag says for a flag without a value.
func (p *printForm) Set(form string) error {
	switch form {
	case "true":
		*p = "yaml"
	case "yaml", "json", "table":
		*p = printForm(form)
	case "false":
		*p = ""
	default:
		return errors.New("the form is yaml, json or table")
	}
	return nil
}

// print writes the report in that form.
func (c *command) print(report *config.Report, form printForm) error {
	out := report.YAML()
	switch form {
	case "table":
		return report.Table(c.stdout)
	case "json":
		var err error
		if out, err = report.JSON(); err != nil {
			return fmt.Errorf("printing the configuration: %w", err)
		}
	}
	_, err := c.stdout.Write(out)
	return err
}

func indented(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		fmt.Fprintf(&b, "  %s\n", strings.TrimSuffix(line, "\n"))
	}
	return b.String()
}

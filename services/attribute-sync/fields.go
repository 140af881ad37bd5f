package attributesync

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/goccy/go-yaml"

	"github.com/sluicehq/sluice/pkg/config"
	"github.com/sluicehq/sluice/services/attribute-sync/cases"
	"github.com/sluicehq/sluice/services/attribute-sync/profile"
	"github.com/sluicehq/sluice/services/attribute-sync/spending"
)

// Fields are the rules of a fields' file: who may write which attribute, and what becomes of support
// cases and orders.
type Fields struct {
	Profile  profile.Rules  `yaml:",inline"`
	Support  cases.Rules    `yaml:"support"`
	Commerce spending.Rules `yaml:"commerce"`
}

// The sources that stand behind the attributes which are made here. No system outside may be called so.
const (
	supportSource  = "sluice.support"
	commerceSource = "sluice.commerce"
)

//go:embed fields.yaml
var shippedFields []byte

// ShippedFields is the file that is used where FIELDS_FILE is not set.
func ShippedFields() []byte { return shippedFields }

// LoadFields reads a fields' file, or the one that is shipped when path is empty. The error is of type
// config.Problems, or says that the file cannot be read.
func LoadFields(path string) (*Fields, error) {
	text, name := shippedFields, "fields.yaml"
	if path != "" {
		var err error
		if text, err = os.ReadFile(path); err != nil {
			return nil, fmt.Errorf("reading FIELDS_FILE: %w", err)
		}
		name = path
	}
	f, err := parseFields(text)
	if err != nil {
		return nil, located(err, name)
	}
	return f, nil
}

func parseFields(text []byte) (*Fields, error) {
	f := &Fields{Support: cases.Defaults(), Commerce: spending.Defaults()}
	err := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict()).Decode(f)
	switch {
	case errors.Is(err, io.EOF): // an empty file, in place of which the decoder leaves nothing
		f = &Fields{Support: cases.Defaults(), Commerce: spending.Defaults()}
	case err != nil:
		return nil, config.Problems{{Allowed: "YAML as the shipped fields.yaml shows it: " + yaml.FormatError(err, false, true)}}
	}
	f.Profile.Own(supportSource, f.Support.Kept()...)
	f.Profile.Own(commerceSource, f.Commerce.Owned()...)
	if err := errors.Join(f.Profile.Validate(), within("support", f.Support.Validate()), f.Commerce.Validate(),
		profile.CheckMade(f.Support.Named(), f.Commerce.Named())); err != nil {
		return nil, err
	}
	return f, nil
}

// within puts a section's name before the fields of its problems.
func within(section string, err error) error {
	return amend(err, func(p *config.Problem) { p.Field = section + "." + p.Field })
}

// located says of problems which file they are in.
func located(err error, file string) error {
	return amend(err, func(p *config.Problem) {
		if p.Field == "" {
			p.Field = file
			return
		}
		p.Origin = file
	})
}

// amend changes every config.Problem in an error; other errors stay as they are.
func amend(err error, change func(*config.Problem)) error {
	var all config.Problems
	var rest []error
	var walk func(error)
	walk = func(err error) {
		switch e := err.(type) { //nolint:errorlint // it takes joined errors apart
		case nil:
		case config.Problem:
			change(&e)
			all = append(all, e)
		case config.Problems:
			for _, p := range e {
				walk(p)
			}
		case interface{ Unwrap() []error }:
			for _, inner := range e.Unwrap() {
				walk(inner)
			}
		default:
			rest = append(rest, err)
		}
	}
	walk(err)
	if len(all) > 0 {
		rest = append(rest, all)
	}
	return errors.Join(rest...)
}

package salesforce

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sluicehq/sluice/pkg/outcome"
	"github.com/sluicehq/sluice/services/crm-writeback/target"
)

// rowError is one thing that Salesforce has against a row.
type rowError struct {
	code    string
	message string
	fields  []string
}

const (
	maxErrors = 20 // of a row that are read; the rest is passed over
	maxFields = 50 // of an error, likewise
)

var errShort = errors.New("reading the answer: it is not about every row")

// readResults reads what became of each row of a collections call: an array by position of
//
//	{"id": "003…", "success": true, "created": false, "errors": [{"statusCode", "message", "fields": […]}]}
//
// into results, which has as many elements as rows were sent. An answer of another length, or one in which a row is
// something else, is about no row at all: who could say which?
func readResults(body []byte, results []target.Result) error {
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	if err := open(d, '['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if d.PeekKind() == ']' {
			if i != len(results) {
				return errShort
			}
			break
		}
		if i == len(results) {
			return errShort
		}
		result, err := readResult(d)
		if err != nil {
			return err
		}
		results[i] = result
	}
	if _, err := d.ReadToken(); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return errors.New("reading the answer: something follows it")
	}
	return nil
}

func readResult(d *jsontext.Decoder) (target.Result, error) {
	var result target.Result
	var success, told bool
	var errs []rowError
	err := members(d, func(name string) (err error) {
		switch name {
		case "id":
			result.ID, err = text(d)
		case "success":
			told = true
			success, err = truth(d)
		case "errors":
			errs, err = readErrors(d)
		default:
			err = d.SkipValue()
		}
		return err
	})
	switch {
	case err != nil:
		return target.Result{}, err
	case !told:
		return target.Result{}, errors.New("reading the answer: a row without success")
	case success:
		result.Kind = outcome.Delivered
		result.ID = fullID(result.ID)
	default:
		result = target.Result{Outcome: fate(errs)}
	}
	return result, nil
}

func readErrors(d *jsontext.Decoder) ([]rowError, error) {
	if d.PeekKind() == 'n' {
		return nil, d.SkipValue()
	}
	if err := open(d, '['); err != nil {
		return nil, err
	}
	var errs []rowError
	for d.PeekKind() != ']' {
		var e rowError
		err := members(d, func(name string) (err error) {
			switch name {
			case "statusCode":
				e.code, err = text(d)
			case "message":
				e.message, err = text(d)
			case "fields":
				e.fields, err = texts(d)
			default:
				err = d.SkipValue()
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if len(errs) < maxErrors {
			errs = append(errs, e)
		}
	}
	_, err := d.ReadToken()
	return errs, err
}

// members calls f at the value of each member of an object.
func members(d *jsontext.Decoder, f func(name string) error) error {
	if err := open(d, '{'); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		token, err := d.ReadToken()
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if err := f(token.String()); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
}

func open(d *jsontext.Decoder, kind jsontext.Kind) error {
	token, err := d.ReadToken()
	if err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if token.Kind() != kind {
		return fmt.Errorf("reading the answer: %v where %v should be", token.Kind(), kind)
	}
	return nil
}

// text is a string; a null is an empty one.
func text(d *jsontext.Decoder) (string, error) {
	token, err := d.ReadToken()
	switch {
	case err != nil:
		return "", fmt.Errorf("reading the answer: %w", err)
	case token.Kind() == '"':
		return token.String(), nil
	case token.Kind() == 'n':
		return "", nil
	}
	return "", fmt.Errorf("reading the answer: %v where a string should be", token.Kind())
}

func texts(d *jsontext.Decoder) ([]string, error) {
	if d.PeekKind() == 'n' {
		return nil, d.SkipValue()
	}
	if err := open(d, '['); err != nil {
		return nil, err
	}
	var all []string
	for d.PeekKind() != ']' {
		one, err := text(d)
		if err != nil {
			return nil, err
		}
		if len(all) < maxFields {
			all = append(all, one)
		}
	}
	_, err := d.ReadToken()
	return all, err
}

func truth(d *jsontext.Decoder) (bool, error) {
	token, err := d.ReadToken()
	if err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	if k := token.Kind(); k != 't' && k != 'f' {
		return false, fmt.Errorf("reading the answer: %v where true or false should be", k)
	}
	return token.Bool(), nil
}

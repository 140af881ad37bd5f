package webhook

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/gojq"

	"github.com/sluicehq/sluice/pkg/event"
	"github.com/sluicehq/sluice/services/ingest/iso"
)

// prelude are the functions for programs that jq itself can say.
//
//go:embed prelude.jq
var prelude string

// functions are those that it cannot, since numbers must stay exact and memory is ours:
//
//	id                       an id as text, whether it was sent as a text or as a number
//	money                    an amount in major units, as a text
//	money_minor(n; currency) an amount in minor units, as a text in major ones
//	money_sum                the sum of an array of amounts, exactly
//	number                   an amount as a number, for properties that are compared
//	unix_time, unix_ms_time  seconds or milliseconds since 1970, as a time of RFC 3339
//	as_country, as_language  a country's or a language's code, or null for what is none (package iso)
//	recall(key)              what was remembered under a key, or null
func functions(m *memory) []gojq.CompilerOption {
	unary := func(name string, f func(any) (any, error)) gojq.CompilerOption {
		return gojq.WithFunction(name, 0, 0, func(v any, _ []any) any { return orError(name)(f(v)) })
	}
	return []gojq.CompilerOption{
		unary("id", idText),
		unary("money", moneyText),
		unary("money_sum", moneySum),
		unary("number", func(v any) (any, error) {
			text, err := moneyText(v)
			if digits, ok := text.(string); ok {
				return json.Number(digits), nil
			}
			return nil, err
		}),
		unary("as_country", codeText(iso.Country)),
		unary("as_language", codeText(iso.Language)),
		unary("unix_time", func(v any) (any, error) { return timeText(v, time.Second) }),
		unary("unix_ms_time", func(v any) (any, error) { return timeText(v, time.Millisecond) }),
		gojq.WithFunction("money_minor", 2, 2, func(_ any, args []any) any {
			return orError("money_minor")(moneyMinor(args[0], args[1]))
		}),
		gojq.WithFunction("recall", 1, 1, func(_ any, args []any) any {
			key, ok := args[0].(string)
			if !ok {
				return nil
			}
			return m.recall(key, time.Now())
		}),
	}
}

func codeText(read func(string) (string, bool)) func(any) (any, error) {
	return func(v any) (any, error) {
		text, _ := v.(string)
		if code, ok := read(text); ok {
			return code, nil
		}
		return nil, nil
	}
}

// orError makes of a failure the value that jq takes for one.
func orError(name string) func(any, error) any {
	return func(v any, err error) any {
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return v
	}
}

var (
	errNotID     = errors.New("an id is a text or a whole number")
	errNotMoney  = errors.New("an amount is a decimal number, as a text or as a number")
	errNotMinor  = errors.New("an amount in minor units is a whole number")
	errNotTime   = errors.New("a time is a whole number, up to the year 9999")
	errNotFit    = errors.New("the amount is too large")
	errNotAnCode = errors.New("a currency is a code of three letters")
)

// digitsOf is a number as it was sent, or as whole numbers are written.
func digitsOf(v any) (string, bool) {
	switch v := v.(type) {
	case json.Number:
		return v.String(), true
	case int:
		return strconv.Itoa(v), true
	case *big.Int:
		return v.String(), true
	}
	return "", false
}

// idText never goes by way of a float: vendors' ids are beyond 2⁵³. Nothing stays nothing.
func idText(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		if v == "" {
			return nil, nil
		}
		return v, nil
	}
	text, ok := digitsOf(v)
	if !ok || strings.ContainsAny(text, ".eE") {
		return nil, errNotID
	}
	return text, nil
}

func moneyText(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return plainMoney(v)
	}
	text, ok := digitsOf(v)
	if !ok {
		return nil, errNotMoney
	}
	return plainMoney(text)
}

func plainMoney(text string) (any, error) {
	m, ok := event.ParseMoney(text)
	if !ok {
		return nil, errNotMoney
	}
	return string(m), nil
}

func moneySum(v any) (any, error) {
	amounts, ok := v.([]any)
	if !ok {
		return nil, errNotMoney
	}
	var sum event.Amount
	for _, a := range amounts {
		text, err := moneyText(a)
		if err != nil {
			return nil, err
		}
		if text == nil {
			continue
		}
		amount, ok := event.Money(text.(string)).Amount()
		if !ok {
			return nil, errNotMoney
		}
		if sum, ok = sum.Add(amount); !ok {
			return nil, errNotFit
		}
	}
	return string(sum.Money()), nil
}

// Billing systems have their own idea of a currency's smallest unit (Stripe: zero-decimal currencies
// and special cases): MGA has none, though ISO 4217 says otherwise, and ISK and UGX are sent as if they
// had two digits.
var (
	withoutDecimals = strings.Fields("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF")
	withThree       = strings.Fields("BHD JOD KWD OMR TND")
)

func moneyMinor(amount, currency any) (any, error) {
	if amount == nil {
		return nil, nil
	}
	text, ok := digitsOf(amount)
	if !ok {
		text, _ = amount.(string)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, errNotMinor
	}
	code, _ := currency.(string)
	if len(code) != 3 {
		return nil, errNotAnCode
	}
	code = strings.ToUpper(code)
	decimals := 2
	switch {
	case slices.Contains(withoutDecimals, code):
		decimals = 0
	case slices.Contains(withThree, code):
		decimals = 3
	}
	return string(event.Scaled(n, decimals)), nil
}

// timeText takes 0 for none, as billing systems do.
func timeText(v any, unit time.Duration) (any, error) {
	if v == nil {
		return nil, nil
	}
	text, ok := digitsOf(v)
	if !ok {
		text, _ = v.(string)
	}
	latest := int64(latestMillis)
	if unit == time.Second {
		latest /= 1000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n < 0 || n > latest:
		return nil, errNotTime
	case n == 0:
		return nil, nil
	case unit == time.Millisecond:
		return time.UnixMilli(n).UTC().Format(time.RFC3339Nano), nil
	}
	return time.Unix(n, 0).UTC().Format(time.RFC3339), nil
}

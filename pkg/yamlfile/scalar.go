package yamlfile

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/sluicehq/sluice/pkg/config"
)

// parse reads a text into a value of a type that one text can be.
func parse(v reflect.Value, text string) error {
	if reader, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return reader.UnmarshalText([]byte(strings.TrimSpace(text)))
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		length, err := time.ParseDuration(strings.TrimSpace(text))
		v.SetInt(int64(length))
		return err
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		v.SetBool(b)
		return err
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(text, 10, v.Type().Bits())
		v.SetInt(n)
		return err
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := strconv.ParseUint(text, 10, v.Type().Bits())
		v.SetUint(n)
		return err
	case reflect.Float32, reflect.Float64:
		x, err := strconv.ParseFloat(text, v.Type().Bits())
		v.SetFloat(x)
		return err
	}
	return fmt.Errorf("%s cannot be read from a text", v.Type())
}

// expected says in words what a value should have been.
func expected(v reflect.Value, err error) string {
	if readsText(v.Type()) {
		return err.Error()
	}
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return "a length of time, such as 30s or 5m"
	case v.Kind() == reflect.Bool:
		return "true or false"
	case v.CanInt() || v.CanUint():
		return "a whole number"
	case v.CanFloat():
		return "a number"
	}
	return err.Error()
}

// conceal hides the value of a secret.
func conceal(v reflect.Value, shown any) any {
	if v.Type() == reflect.TypeFor[config.Secret]() {
		return config.Secret("hidden")
	}
	return shown
}

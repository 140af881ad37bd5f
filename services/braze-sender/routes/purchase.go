package routes

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"

	"github.com/sluicehq/sluice/pkg/braze"
)

// purchaseSend sends purchases: one of the record, or one of each part of it.
type purchaseSend struct {
	each                               *program // nil: the record itself
	product, price, quantity, currency *program
	properties                         *shape
	existingOnly                       bool
}

func (s purchaseSend) act(a *application) error {
	if s.each == nil {
		return s.one(a, nil)
	}
	v, err := a.view()
	if err != nil {
		return err
	}
	parts, err := s.each.run(a.ctx, v, v, maxActions)
	if err != nil {
		return within("each", err)
	}
	for i, part := range parts {
		if err := s.one(a, &part); err != nil {
			return fmt.Errorf("purchase %d: %w", i+1, err)
		}
	}
	return nil
}

func (s purchaseSend) one(a *application, part *any) error {
	made := Action{Kind: Purchase, ExistingOnly: s.existingOnly}
	for _, f := range []struct {
		name  string
		p     *program
		check func(any) error
	}{
		{"product_id", s.product, made.setProduct},
		{"price", s.price, made.setPrice},
		{"currency", s.currency, made.setCurrency},
		{"quantity", s.quantity, made.setQuantity},
	} {
		v, err := a.ask(f.p, part)
		if err == nil {
			err = f.check(v)
		}
		if err != nil {
			return within(f.name, err)
		}
	}
	if s.properties != nil {
		var err error
		if made.Properties, err = s.properties.of(a, part, braze.MaxPurchasePropertyBytes); err != nil {
			return err
		}
		if v := braze.CheckPurchaseProperties(made.Properties); v != nil {
			return v
		}
	}
	// Braze takes up to 100 pieces at once and counts each as a purchase anyway.
	for left := made.Quantity; left > 0; left -= braze.MaxQuantity {
		made.Quantity = min(left, braze.MaxQuantity)
		a.actions = append(a.actions, made)
	}
	return nil
}

func (a *Action) setProduct(v any) error {
	id, ok := word(v)
	if !ok || id == "" || len([]rune(id)) > braze.MaxProductID {
		return fmt.Errorf("want a text of 1 to %d characters", braze.MaxProductID)
	}
	a.ProductID = id
	return nil
}

// setPrice takes a number, and a text that is one: shops write their money so.
func (a *Action) setPrice(v any) error {
	price, ok := word(v)
	if !ok || len(price) > 64 || !isNumber(price) {
		return errors.New("want a number")
	}
	a.Price = price
	return nil
}

func (a *Action) setCurrency(v any) error {
	code, ok := v.(string)
	if !ok || !braze.IsCurrency(code) {
		return errors.New("want a currency of ISO 4217 in capitals, such as EUR")
	}
	a.Currency = code
	return nil
}

// setQuantity takes a whole number; nothing is one piece.
func (a *Action) setQuantity(v any) error {
	a.Quantity = 1
	if v == nil {
		return nil
	}
	text, ok := word(v)
	n, whole := new(big.Int).SetString(text, 10)
	if most := int64(maxActions * braze.MaxQuantity); !ok || len(text) > 9 || !whole || n.Sign() <= 0 || n.Int64() > most {
		return fmt.Errorf("want a whole number from 1 to %d", most)
	}
	a.Quantity = int(n.Int64())
	return nil
}

// word is a text, or a number in its own digits.
func word(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number, int, float64, *big.Int:
		text, err := encode(v, 1<<10)
		return string(text), err == nil
	}
	return "", false
}

var numbers = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

func isNumber(text string) bool { return numbers.MatchString(text) }

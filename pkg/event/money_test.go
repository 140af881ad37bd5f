package event_test

import (
	"bytes"
	"math/big"
	"strings"
	"testing"

	"github.com/sluicehq/sluice/pkg/event"
)

func TestMoneyIsReadExactly(t *testing.T) {
	nines := strings.Repeat("9", 29)
	for _, c := range []struct{ name, text, want string }{
		{"zeros at the end stay", "84.90", "84.90"},
		{"a whole number", "5", "5"},
		{"a negative one", "-5.01", "-5.01"},
		{"nothing", "0", "0"},
		{"nothing, exactly", "0.00", "0.00"},
		{"negative nothing is nothing", "-0.00", "0"},
		{"an exponent", "1.5e2", "150"},
		{"a negative exponent", "8490E-2", "84.9"},
		{"an exponent of nothing", "0e99999999999999999999", "0"},
		{"more zeros behind the point than there is room for", "1.1000000000000000000000", "1.1"},
		{"the smallest there is", "0.000000001", "0.000000001"},
		{"the largest there is", nines + ".999999999", nines + ".999999999"},
		{"a large one by its exponent", "1e28", "1" + strings.Repeat("0", 28)},
		{"a small mantissa with a long way", "0." + strings.Repeat("0", 5000) + "1e5001", "1"},
		{"zeros inside", "1000000000000000000000000000.000000001", "1000000000000000000000000000.000000001"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := event.ParseMoney(c.text); !ok || string(got) != c.want {
				t.Errorf("%s: got %q %v, want %q", c.text, got, ok, c.want)
			}
		})
	}
	for _, text := range []string{
		"", "-", "+5", ".5", "5.", "05", "-05", "1e", "1e+", "1e1.5", "1,5", " 1", "1 ", "0x10", "NaN", "Infinity", "1_000", "٣",
		"0.0000000001", "1e-10", "1e29", "1" + strings.Repeat("0", 29), nines + "9", "1e99999999999999999999", "1e-99999999999999999999", "1.0000000001",
	} {
		if got, ok := event.ParseMoney(text); ok {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

// FuzzMoney holds the arithmetic to math/big.
func FuzzMoney(f *testing.F) {
	for _, text := range []string{"84.90", "-0.1", "1e28", "99999999999999999999999999999.999999999", "-99999999999999999999999999999.999999999", "0", "128", "-128", "0.000000128", "-0.000000129", "18446744073.709551615", "-9223372036854775808.9"} {
		f.Add(text, "1.5", int64(3))
	}
	f.Fuzz(func(t *testing.T, text, other string, factor int64) {
		m, ok := event.ParseMoney(text)
		if !ok || len(text) > 200 {
			return
		}
		rat, valid := new(big.Rat).SetString(text)
		if !valid && m == "0" {
			return // with an exponent that is too much for math/big
		}
		if !valid {
			t.Fatalf("math/big does not know %q", text)
		}
		again, ok := m.Amount()
		if back, valid := new(big.Rat).SetString(string(m)); !ok || !valid || back.Cmp(rat) != 0 || strings.ContainsAny(string(m), "eE+") {
			t.Fatalf("%q became %q", text, m)
		}
		if back, _ := new(big.Rat).SetString(string(again.Money())); back.Cmp(rat) != 0 {
			t.Fatalf("%q became %q", text, again.Money())
		}
		unscaled := new(big.Rat).Mul(rat, big.NewRat(1e9, 1))
		if !unscaled.IsInt() || again.Sign() != rat.Sign() {
			t.Fatalf("%q has sign %d and more than nine digits", text, again.Sign())
		}
		raw := again.AppendBytes(nil)
		if want := twosComplement(unscaled.Num()); !bytes.Equal(raw, want) || len(raw) != again.Len() {
			t.Fatalf("%q is % x, want % x", text, raw, want)
		}
		if back, ok := event.AmountFromBytes(raw); !ok || back != again {
			t.Fatalf("% x is read as %v", raw, back.Money())
		}
		fits := func(r *big.Rat) bool {
			n := new(big.Rat).Mul(r, big.NewRat(1e9, 1))
			return len(new(big.Int).Abs(n.Num()).String()) <= 38
		}
		want := new(big.Rat).Mul(rat, new(big.Rat).SetInt64(factor))
		if got, ok := again.Times(factor); ok != fits(want) || ok && ratOf(got).Cmp(want) != 0 {
			t.Fatalf("%q × %d: got %s %v", text, factor, got.Money(), ok)
		}
		if b, ok := event.Money(other).Amount(); ok {
			want := new(big.Rat).Add(rat, ratOf(b))
			if got, ok := again.Add(b); ok != fits(want) || ok && ratOf(got).Cmp(want) != 0 {
				t.Fatalf("%q + %q: got %s %v", text, other, got.Money(), ok)
			}
		}
	})
}

func ratOf(a event.Amount) *big.Rat {
	r, _ := new(big.Rat).SetString(string(a.Money()))
	return r
}

// twosComplement is what Java's BigInteger.toByteArray gives.
func twosComplement(n *big.Int) []byte {
	size := 1
	for ; size < 20; size++ {
		half := new(big.Int).Lsh(big.NewInt(1), uint(8*size-1))
		if n.Cmp(half) < 0 && n.Cmp(new(big.Int).Neg(half)) >= 0 {
			break
		}
	}
	m := new(big.Int).And(n, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), uint(8*size)), big.NewInt(1)))
	return m.FillBytes(make([]byte, size))
}

func TestBytesThatAreNoAmount(t *testing.T) {
	for _, c := range []struct {
		name string
		raw  []byte
		want string
		ok   bool
	}{
		{"none are zero", nil, "0", true},
		{"more than needed", append(make([]byte, 30), 1), "0.000000001", true},
		{"more than needed, negative", bytes.Repeat([]byte{0xff}, 30), "-0.000000001", true},
		{"more than 38 digits", bytes.Repeat([]byte{0x7f}, 16), "", false},
		{"more than 38 digits below zero", append([]byte{0x80}, make([]byte, 15)...), "", false},
		{"more than 128 bits", append([]byte{1}, make([]byte, 16)...), "", false},
		{"more than 128 bits below zero", append([]byte{0xfe}, make([]byte, 16)...), "", false},
		{"16 bytes behind a sign that is not theirs", append([]byte{0xff}, append([]byte{0x00}, make([]byte, 15)...)...), "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, ok := event.AmountFromBytes(c.raw); ok != c.ok || ok && string(got.Money()) != c.want {
				t.Errorf("got %s %v", got.Money(), ok)
			}
		})
	}
}

func TestCurrencies(t *testing.T) {
	for _, c := range []struct {
		code, want string
		ok         bool
	}{
		{"EUR", "EUR", true},
		{"usd", "USD", true},
		{"Jpy", "JPY", true},
		{"EURO", "", false},
		{"XXX", "", false},
		{"ABC", "", false},
		{"", "", false},
		{"€UR", "", false},
		{"U5D", "", false},
	} {
		if got, ok := event.Currency(c.code); got != c.want || ok != c.ok {
			t.Errorf("%q: got %q %v", c.code, got, ok)
		}
	}
	for _, c := range []struct {
		n        int64
		currency string
		want     event.Money
	}{
		{8490, "EUR", "84.9"},
		{8490, "jpy", "8490"},
		{8490, "KWD", "8.49"},
		{-1, "USD", "-0.01"},
		{-1 << 63, "JPY", "-9223372036854775808"},
		{0, "EUR", "0"},
	} {
		if got := event.MinorUnits(c.n, c.currency); got != c.want {
			t.Errorf("%d of %s are %s, not %s", c.n, c.currency, got, c.want)
		}
	}
	if got := event.Scaled(12345, 3); got != "12.345" {
		t.Errorf("12345 thousandths are %s", got)
	}
}

func BenchmarkMoneyAmount(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := event.Money("1284.90").Amount(); !ok {
			b.Fatal("not read")
		}
	}
}

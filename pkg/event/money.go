package event

// Money is an exact decimal in its plain form, such as "84.90" or "-5": at most 29 digits before the
// point and 9 behind it, no exponent, no separators. It is empty where nothing was said.
//
// It is a text and not a number because that is what shops send, what Braze is sent, and what nobody
// can round by mistake. Where something must be computed, [Money.Amount] has the number.
type Money string

// What every amount fits: Avro's decimal(38,9), which is BigQuery's NUMERIC.
const (
	MoneyPrecision = 38
	MoneyScale     = 9
)

// ParseMoney reads a number in JSON's grammar, such as 84.90, -5 or 1.5e2, exactly. It is false for
// anything else, and for a number that does not fit. Where the text is in plain form already the
// result aliases it, trailing zeros and all.
func ParseMoney(text string) (Money, bool) {
	a, plain, ok := parse(text)
	switch {
	case !ok:
		return "", false
	case plain:
		return Money(text), true
	}
	return a.Money(), true
}

// Amount is the exact value, for computing; false where there is none.
func (m Money) Amount() (Amount, bool) {
	a, _, ok := parse(string(m))
	return a, ok
}

// MinorUnits is what n of a currency's smallest units are worth by ISO 4217: 8490 of EUR are 84.9, of
// JPY 8490, of KWD 8.49.
func MinorUnits(n int64, currency string) Money { return Scaled(n, CurrencyDecimals(currency)) }

// Scaled is n with so many digits behind the point, from 0 to 9: for vendors who have their own idea
// of a currency's smallest unit.
func Scaled(n int64, decimals int) Money {
	a, _ := Amount{n >> 63, uint64(n)}.shift(MoneyScale - min(max(decimals, 0), MoneyScale))
	return a.Money()
}

// parse reads a number; plain says that its text is a Money already.
func parse(text string) (a Amount, plain, ok bool) {
	i, negative := 0, false
	if i < len(text) && text[i] == '-' {
		i, negative = 1, true
	}
	var m mantissa
	whole := i
	for ; i < len(text) && isDigit(text[i]); i++ {
		m.digit(text[i])
	}
	if i == whole || text[whole] == '0' && i > whole+1 {
		return Amount{}, false, false
	}
	fraction := 0
	if i < len(text) && text[i] == '.' {
		from := i + 1
		for i = from; i < len(text) && isDigit(text[i]); i++ {
			m.digit(text[i])
		}
		if fraction = i - from; fraction == 0 {
			return Amount{}, false, false
		}
	}
	plain = i == len(text) && fraction <= MoneyScale
	exponent, ok := exponentOf(text[i:])
	if !ok || m.overflow {
		return Amount{}, false, false
	}
	if a, ok = m.value.shift(exponent - fraction + m.zeros + MoneyScale); !ok {
		return Amount{}, false, false
	}
	if negative {
		a, plain = a.Neg(), plain && a != Amount{} // there is no negative zero
	}
	return a, plain, true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// mantissa gathers digits; zeros at the end wait until another digit shows that they count, so that
// 1.10000000000000 is no more than 1.1.
type mantissa struct {
	value    Amount
	zeros    int
	overflow bool
}

func (m *mantissa) digit(c byte) {
	if c == '0' {
		m.zeros++
		return
	}
	if m.value == (Amount{}) {
		m.zeros = 0 // leading ones
	}
	v := m.value
	if v.hi == 0 && v.lo < 1e9 && m.zeros < 9 { // as most are
		v.lo *= powers[m.zeros+1]
	} else if shifted, ok := v.shift(m.zeros + 1); ok {
		v = shifted
	} else {
		m.overflow = true
		return
	}
	// It ends in 0 and is less than 10³⁸, so that one more digit always fits.
	m.value, m.zeros = v.plus(uint64(c-'0')), 0
}

// exponentOf reads what may stand behind a number's digits.
func exponentOf(text string) (exponent int, ok bool) {
	if text == "" {
		return 0, true
	}
	if text[0] != 'e' && text[0] != 'E' {
		return 0, false
	}
	i, negative := 1, false
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		negative = text[i] == '-'
		i++
	}
	if i == len(text) {
		return 0, false
	}
	const enough = 1 << 30 // beyond any text's length, so that what is cut off cannot matter
	for ; i < len(text); i++ {
		if !isDigit(text[i]) {
			return 0, false
		}
		exponent = min(10*exponent+int(text[i]-'0'), enough)
	}
	if negative {
		exponent = -exponent
	}
	return exponent, true
}

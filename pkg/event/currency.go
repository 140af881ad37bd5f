package event

import "strings"

// currencies are the alphabetic codes of ISO 4217 that money can have, by the number of digits behind
// the point of the smallest unit: the list of 2026, without precious metals, units of account, tests
// and "no currency". ANG and BGN have been replaced, but what was bought with them is still returned.
var currencies = [...]string{
	0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
	2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD " +
		"CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS " +
		"GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL " +
		"MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK " +
		"PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS " +
		"TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
	3: "BHD IQD JOD KWD LYD OMR TND",
	4: "CLF UYW",
}

const letters = 'Z' - 'A' + 1

// currencyDigits has, at each code's place, its number of digits plus one.
var currencyDigits = func() (t [letters * letters * letters]byte) {
	for digits, codes := range currencies {
		for code := range strings.FieldsSeq(codes) {
			t[currencyPlace(code)] = byte(digits) + 1
		}
	}
	return t
}()

// currencyPlace is a code's place in the table, or -1 for what cannot be one. Case does not matter.
func currencyPlace(code string) int {
	if len(code) != 3 {
		return -1
	}
	place := 0
	for i := range 3 {
		c := code[i] &^ 0x20
		if c < 'A' || c > 'Z' {
			return -1
		}
		place = letters*place + int(c-'A')
	}
	return place
}

// Currency returns a currency's code of ISO 4217 in upper case, and whether there is such a currency.
func Currency(code string) (string, bool) {
	place := currencyPlace(code)
	if place < 0 || currencyDigits[place] == 0 {
		return "", false
	}
	return strings.ToUpper(code), true
}

// CurrencyDecimals is how many digits behind the point a currency's smallest unit has; 2 for one that
// ISO 4217 does not know.
func CurrencyDecimals(code string) int {
	if place := currencyPlace(code); place >= 0 && currencyDigits[place] > 0 {
		return int(currencyDigits[place]) - 1
	}
	return 2
}

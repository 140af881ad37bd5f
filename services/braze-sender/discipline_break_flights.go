//go:build break_flights && !break_receipts

package brazesender

const (
	settleAfterReceipt = true
	oneFlightPerUser   = false
)

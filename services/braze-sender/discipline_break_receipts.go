//go:build break_receipts

package brazesender

const (
	settleAfterReceipt = false
	oneFlightPerUser   = true
)

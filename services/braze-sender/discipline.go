//go:build !break_receipts && !break_flights

package brazesender

// The two rules on which everything rests. Builds with the tags break_receipts and break_flights
// break one each, so that a test can prove that the crash suite would notice.
const (
	settleAfterReceipt = true // a record is settled when its receipt is durable, not before
	oneFlightPerUser   = true // a user with a request under way is not packed into another
)

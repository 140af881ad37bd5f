package avro

import "github.com/sluicehq/sluice/pkg/event"

// AppendProfile appends a customer.profiles record of version 1, header included; id is the id of
// that version's schema in the registry. The change's JSON members must be valid JSON objects.
func AppendProfile(dst []byte, id int, p *event.Profile) []byte {
	dst = AppendHeader(dst, id)
	dst = AppendString(dst, p.ID)
	dst = appendKey(dst, p.User)
	dst = appendUser(dst, p.User)
	dst = AppendOptBytes(dst, p.Set)
	dst = appendArray(dst, len(p.Unset), func(dst []byte, i int) []byte { return AppendString(dst, p.Unset[i]) })
	dst = AppendOptBytes(dst, p.Add)
	dst = AppendOptBytes(dst, p.Remove)
	dst = AppendOptBytes(dst, p.Increment)
	dst = appendArray(dst, len(p.Subscriptions), func(dst []byte, i int) []byte {
		return AppendString(AppendString(dst, p.Subscriptions[i].GroupID), p.Subscriptions[i].State)
	})
	dst = AppendOptString(dst, p.PreviousKey)
	dst = AppendString(dst, p.Source)
	if p.Version != nil {
		dst = AppendOptLong(dst, *p.Version, true)
	} else {
		dst = AppendOptLong(dst, 0, false)
	}
	dst = AppendTime(dst, p.OccurredAt)
	return AppendTime(dst, p.ReceivedAt)
}

// appendArray appends an array of n items as one block.
func appendArray(dst []byte, n int, item func(dst []byte, i int) []byte) []byte {
	if n > 0 {
		dst = AppendLong(dst, int64(n))
		for i := range n {
			dst = item(dst, i)
		}
	}
	return append(dst, 0) // the end of the blocks
}

// Package simulate makes up customers and what they do, and lets it happen to a Sluice: through the
// real front door, or straight on the topics as an upstream system would write to them.
//
// A [Population] has people, a journey is what they set out to do, a [Mishap] is what goes wrong on
// the way. A [Story] tells it act by act; one seed tells one story, the same to the byte every time,
// so whatever went wrong can be made to go wrong again.
//
//	population.go  who they are: invented names, addresses nobody owns
//	journey.go     what they do: browse, buy, return, complain
//	purchase.go    what the shop does for them: carts, orders, parcels, refunds, bills
//	office.go      what the CRM and the helpdesk say of them
//	commerce.go    what it says of that, in JSON
//	mishap.go      what goes wrong: twice, late, malformed, out of order
//	story.go       the acts, one after the other
//	misfortune.go  how a mishap changes an act
//	request.go     what an act posts
//	send.go        through the front door, at a rate, with patience
//	direct.go      straight to the topics with kafka-go and goavro
//	record.go      what stands there
//	summary.go     what came of it
//
// Every event carries seq in its properties, a number that grows by one with each event of the same
// person, so that whoever receives them can tell whether their order has held. Commerce events carry it
// in their metadata and have a count of their own: nothing orders records of two topics.
//
// The package imports nothing else of ours. It is the outside world.
package simulate

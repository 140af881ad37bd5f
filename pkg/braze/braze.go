// Package braze speaks Braze's REST API: requests, limits, and what the answers mean. It knows
// nothing of Kafka or Avro, and it decides nothing: a caller packs a [Request], calls [Client.Track]
// and reads an [Answer] that says of every object what became of it.
//
// It covers every call that the flows need: /users/track with bulk and sync, triggered campaigns and
// Canvases, messages and transactional sends, subscriptions, who users are and their erasure, catalogs.
// [Endpoints] lists them with their limits, [Pools] the budgets that they draw from.
//
// A request's way to /users/track:
//
//	CheckProperties, CheckAttributes ...  is this object one that Braze will take?   check.go
//	Request.AppendFunc, AppendString ...  encoded straight into the request's arrays  request.go, encode.go
//	Request.AppendBody                    one body
//	Client.Track                          one call, no hidden retries                client.go
//	classify, parseAnswer                 a verdict, and the objects that were refused classify.go, answer.go
//
// And to anywhere else, where a struct of the call's own, such as a [CampaignTrigger], is the [Body]:
//
//	Body.Check                            every documented limit, with the field     trigger.go, catalogitem.go ...
//	NewCall                               endpoint, path, bytes, number of items     call.go
//	Client.Call                           one call, no hidden retries                client.go
//	classify, parseCall                   a verdict, and the items that were refused callanswer.go
//
// [CheckEcommerce] holds the recommended commerce events to their schema, which Braze otherwise drops
// without more than a line among the errors.
//
// What is said here about Braze comes from its public documentation, named as "braze-docs:" and the
// page. Where that is silent the code says so. Above all: /users/track has no idempotency key, stores
// every repeated event once more, answers 201 for a batch in which single objects failed, and applies
// requests in no promised order. That is why an [Answer] tells so carefully whether anything may have
// been applied.
package braze

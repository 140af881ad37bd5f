// Package braze speaks Braze's REST API: requests, limits, and what the answers mean. It knows
// nothing of Kafka or Avro, and it decides nothing: a caller packs a [Request], calls [Client.Track]
// and reads an [Answer] that says of every object what became of it.
//
// A request's way:
//
//	CheckProperties, CheckAttributes ...  is this object one that Braze will take?   check.go
//	Request.AppendFunc, AppendString ...  encoded straight into the request's arrays  request.go, encode.go
//	Request.AppendBody                    one body
//	Client.Track                          one call, no hidden retries                client.go
//	classify, parseAnswer                 a verdict, and the objects that were refused classify.go, answer.go
//
// What is said here about Braze comes from its public documentation, named as "braze-docs:" and the
// page. Where that is silent the code says so. Above all: /users/track has no idempotency key, stores
// every repeated event once more, answers 201 for a batch in which single objects failed, and applies
// requests in no promised order. That is why an [Answer] tells so carefully whether anything may have
// been applied.
package braze

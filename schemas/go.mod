module github.com/sluicehq/sluice/schemas

go 1.26.0

require (
	github.com/google/go-cmp v0.7.0
	github.com/linkedin/goavro/v2 v2.15.0
	github.com/twmb/avro v1.9.0
)

require github.com/golang/snappy v0.0.1 // indirect

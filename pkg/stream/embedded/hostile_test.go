package embedded_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/sluicehq/sluice/pkg/stream/embedded"
)

func TestABrokerOutlivesStrangersAtItsPort(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 1, "orders")
	good := dial(t, b)
	for _, tt := range []struct {
		name string
		sent []byte
	}{
		{name: "an API key nobody knows", sent: []byte("\x00\x00\x00\x0a\x03\xe7\x00\x00\x00\x00\x00\x01\x00\x00")},
		{name: "a negative API key", sent: []byte("\x00\x00\x00\x0a\xff\xff\x00\x00\x00\x00\x00\x01\x00\x00")},
		{name: "a length of minus one", sent: []byte("\xff\xff\xff\xff")},
		{name: "a length of nothing", sent: []byte("\x00\x00\x00\x00")},
		{name: "a web browser", sent: []byte("GET / HTTP/1.1\r\nHost: localhost:9092\r\n\r\n")},
		{name: "a request that is all header and garbage", sent: []byte("\x00\x00\x00\x0c\x00\x00\x00\x09\xff\xff\xff\xff\xff\xff\xff\xff")},
		{name: "a version of the future", sent: []byte("\x00\x00\x00\x0a\x00\x03\x7f\xff\x00\x00\x00\x01\x00\x00")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", b.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write(tt.sent); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(conn)
			if netErr := net.Error(nil); errors.As(err, &netErr) && netErr.Timeout() {
				t.Error("the connection stayed open")
			}
			if len(answer) > 0 {
				t.Errorf("got the answer %q, want none", answer)
			}
			produce(t, good, "orders", tt.name)
		})
	}
}

// The guard lets every well-formed request through, so kfake must outlive them all, whatever stands
// in them.
func TestABrokerOutlivesEveryWellFormedRequest(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 2, "t")
	const seed = 1
	r := rand.New(rand.NewPCG(seed, seed))
	formatter := kmsg.NewRequestFormatter()
	for i := range 1500 {
		req := kmsg.RequestForKey(int16(r.IntN(93)))
		if req == nil {
			continue
		}
		req.SetVersion(int16(r.IntN(int(req.MaxVersion()) + 1)))
		scribble(r, reflect.ValueOf(req).Elem())
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if _, err := conn.Write(formatter.AppendRequest(nil, req, 1)); err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		// Some answers only come with time, such as a fetch's; the next request need not wait.
		if err := conn.SetReadDeadline(time.Now().Add(5 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		_, _ = io.ReadFull(conn, make([]byte, 4))
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	create(t, b, 1, "after")
	produce(t, dial(t, b), "after", "still here")
}

// scribble fills a request with values that are likely to mean something.
func scribble(r *rand.Rand, v reflect.Value) {
	texts := []string{"", "t", "g", "range", "consumer", "retention.ms", "log.cleaner.backoff.ms", "cleanup.policy", "compact", "0", "-1", "127.0.0.1"}
	ints := []int64{0, 1, -1, 2, 5, 100, -2, 1<<31 - 1, -1 << 31, 1 << 62}
	switch v.Kind() {
	case reflect.Pointer:
		if r.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			scribble(r, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Version" && name != "UnknownTags" && v.Field(i).CanSet() {
				scribble(r, v.Field(i))
			}
		}
	case reflect.Slice:
		n := r.IntN(4)
		if v.Type().Elem().Kind() == reflect.Uint8 {
			n *= 20
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			scribble(r, v.Index(i))
		}
	case reflect.Array:
		if r.IntN(3) == 0 {
			scribble(r, v.Index(r.IntN(v.Len())))
		}
	case reflect.String:
		v.SetString(texts[r.IntN(len(texts))])
	case reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if n := ints[r.IntN(len(ints))]; !v.OverflowInt(n) {
			v.SetInt(n)
		}
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(uint64(r.IntN(200)))
	}
}

func TestABrokerRefusesWhatKafkaWouldRefuse(t *testing.T) {
	b := start(t, embedded.Config{})
	create(t, b, 2, "orders", "retention.ms=60000")
	text := func(s string) *string { return &s }
	topic := func(partitions int32, name string, value *string) *kmsg.CreateTopicsRequest {
		req := kmsg.NewPtrCreateTopicsRequest()
		for _, each := range []string{"bad", "good"} {
			t := kmsg.NewCreateTopicsRequestTopic()
			t.Topic, t.NumPartitions, t.ReplicationFactor = each, 1, 1
			if each == "bad" {
				t.NumPartitions = partitions
				t.Configs = append(t.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: name, Value: value})
			}
			req.Topics = append(req.Topics, t)
		}
		return req
	}
	more := func(count int32) *kmsg.CreatePartitionsRequest {
		req := kmsg.NewPtrCreatePartitionsRequest()
		t := kmsg.NewCreatePartitionsRequestTopic()
		t.Topic, t.Count = "orders", count
		req.Topics = append(req.Topics, t)
		return req
	}
	alter := func(kind kmsg.ConfigResourceType, resource, name string, value *string) *kmsg.IncrementalAlterConfigsRequest {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		r := kmsg.NewIncrementalAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kind, resource
		r.Configs = append(r.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: name, Value: value})
		req.Resources = append(req.Resources, r)
		return req
	}
	replace := func(kind kmsg.ConfigResourceType, resource, name string, value *string) *kmsg.AlterConfigsRequest {
		req := kmsg.NewPtrAlterConfigsRequest()
		r := kmsg.NewAlterConfigsRequestResource()
		r.ResourceType, r.ResourceName = kind, resource
		r.Configs = append(r.Configs, kmsg.AlterConfigsRequestResourceConfig{Name: name, Value: value})
		req.Resources = append(req.Resources, r)
		return req
	}
	const (
		ofTopic  = kmsg.ConfigResourceTypeTopic
		ofBroker = kmsg.ConfigResourceTypeBroker
	)
	for _, tt := range []struct {
		name string
		req  kmsg.Request
		want *kerr.Error // nil: taken
	}{
		{name: "two billion partitions", req: topic(1<<31-1, "retention.ms", text("1")), want: kerr.InvalidPartitions},
		{name: "a setting nobody knows", req: topic(1, "no.such.config", text("x")), want: kerr.InvalidConfig},
		{name: "a retention of banana", req: topic(1, "retention.ms", text("banana")), want: kerr.InvalidConfig},
		{name: "a segment smaller than Kafka allows", req: topic(1, "segment.bytes", text("1024")), want: kerr.InvalidConfig},
		{name: "a cleanup policy nobody knows", req: topic(1, "cleanup.policy", text("shred")), want: kerr.InvalidConfig},
		{name: "a sound topic", req: topic(3, "cleanup.policy", text("compact,delete"))},
		{name: "partitions added without measure", req: more(1 << 30), want: kerr.InvalidPartitions},
		{name: "a partition added", req: more(3)},
		{name: "a topic altered to nonsense", req: alter(ofTopic, "orders", "retention.ms", text("soon")), want: kerr.InvalidConfig},
		{name: "a topic altered soundly", req: alter(ofTopic, "orders", "retention.ms", text("-1"))},
		{name: "a setting taken back", req: alter(ofTopic, "orders", "retention.ms", nil)},
		{name: "a cleaner that never rests", req: alter(ofBroker, "", "log.cleaner.backoff.ms", text("0")), want: kerr.InvalidRequest},
		{name: "the same, the old way", req: replace(ofBroker, "", "log.cleaner.backoff.ms", text("0")), want: kerr.InvalidRequest},
		{name: "a topic altered to nonsense, the old way", req: replace(ofTopic, "orders", "min.insync.replicas", text("zero")), want: kerr.InvalidConfig},
		{name: "a topic altered soundly, the old way", req: replace(ofTopic, "orders", "min.insync.replicas", text("1"))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := dial(t, b).Request(t.Context(), tt.req)
			if err != nil {
				t.Fatal(err)
			}
			if got := firstCode(resp); got != codeOf(tt.want) {
				t.Errorf("got %v, want %v", kerr.ErrorForCode(got), tt.want)
			}
			if created, ok := resp.(*kmsg.CreateTopicsResponse); ok && tt.want != nil {
				if got := created.Topics[1].ErrorCode; got != kerr.InvalidRequest.Code {
					t.Errorf("the good topic beside it got %v, want %v", kerr.ErrorForCode(got), kerr.InvalidRequest)
				}
			}
		})
	}
}

// firstCode is the error code of an answer's first part.
func firstCode(resp kmsg.Response) int16 {
	switch resp := resp.(type) {
	case *kmsg.CreateTopicsResponse:
		return resp.Topics[0].ErrorCode
	case *kmsg.CreatePartitionsResponse:
		return resp.Topics[0].ErrorCode
	case *kmsg.AlterConfigsResponse:
		return resp.Resources[0].ErrorCode
	case *kmsg.IncrementalAlterConfigsResponse:
		return resp.Resources[0].ErrorCode
	}
	return -1
}

func codeOf(err *kerr.Error) int16 {
	if err == nil {
		return 0
	}
	return err.Code
}

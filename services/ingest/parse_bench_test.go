package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
)

// oneEvent is an order of about 300 bytes, as shops send them.
func oneEvent(n int) string {
	return fmt.Sprintf(`{"id":"ord-%06d-placed","user":{"external_id":"cus-%06d"},"name":"Order Completed","time":"2026-03-02T09:15:04.210Z",`+
		`"properties":{"order_id":"A-%06d","total":84.90,"currency":"EUR","coupon":"SPRING","items":3,"express":true,`+
		`"product":{"product_id":"P-77","name":"Trail Runner","variant":"42/blue","price":70.00}}}`, n, n%97, n)
}

func events(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		b.WriteByte("[,"[min(i, 1)])
		b.WriteString(oneEvent(i))
	}
	b.WriteByte(']')
	return b.Bytes()
}

func BenchmarkParseEvents50(b *testing.B) {
	body := events(50)
	var s scanner
	var items []item
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		s.reset(body)
		var err error
		if items, err = parseEvents(&s, items[:0]); err != nil || items[49].problem.why != fine {
			b.Fatal(err, items[49].problem)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50, "ns/event")
}

func BenchmarkParseEventSingle(b *testing.B) {
	body := []byte(oneEvent(1))
	var s scanner
	var items []item
	b.ReportAllocs()
	for b.Loop() {
		s.reset(body)
		items, _ = parseEvents(&s, items[:0])
	}
}

// BenchmarkScan50 and BenchmarkJSONText50 pass over the same body, both checking UTF-8 and names that
// stand twice, and nothing else: the reason why the scanner is our own.
func BenchmarkScan50(b *testing.B) {
	body := events(50)
	var s scanner
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		s.reset(body)
		if !s.value() || !s.end() {
			b.Fatal(s.fault)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50, "ns/event")
}

func BenchmarkJSONText50(b *testing.B) {
	body := events(50)
	reader := bytes.NewReader(body)
	d := jsontext.NewDecoder(reader)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		reader.Reset(body)
		d.Reset(reader)
		for {
			if _, err := d.ReadToken(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			// Members of items are tokens, their values are skipped: the least a parser must do.
			if d.StackDepth() == 2 {
				if _, n := d.StackIndex(2); n%2 == 1 {
					if _, err := d.ReadValue(); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50, "ns/event")
}

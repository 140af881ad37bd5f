package stream

import "testing"

func TestOnlyANoteOfOursCounts(t *testing.T) {
	cases := map[string]struct {
		want int64
		ok   bool
	}{
		`{"receipts_from":42}`:                       {42, true},
		`{"receipts_from":0,"later_field":"x"}`:      {0, true},
		`{"receipts_from":7,"fences":[[5,1]]}`:       {7, true},
		`{"receipts_from":7,"fences":[[5]]}`:         {7, true}, // as JSON goes: the rest is 0, a producer that is nobody's
		`{"receipts_from":7,"fences":[[5,1],3]}`:     {0, false},
		`{"receipts_from":7,"fences":[[5,1],[4,2]]}`: {7, false},
		``:                                       {0, false}, // another tool moved the offset
		`consumer-1-5f3e`:                        {0, false}, // a plain client's member id
		`{"receipts_from":-1}`:                   {0, false},
		`{}`:                                     {0, false},
		`{"receipts_from":"x"}`:                  {0, false},
		`{"receipts_from":99999999999999999999}`: {0, false},
	}
	for metadata, c := range cases {
		if n, ok := parseNote(metadata); ok != c.ok || n.ReceiptsFrom != c.want {
			t.Errorf("%s: %+v, %v", metadata, n, ok)
		}
	}
}

func FuzzParseNote(f *testing.F) {
	f.Add(`{"receipts_from":42}`)
	f.Add(`{"receipts_from":`)
	f.Fuzz(func(t *testing.T, metadata string) {
		if n, ok := parseNote(metadata); ok && n.ReceiptsFrom < 0 {
			t.Errorf("%q gives %d", metadata, n.ReceiptsFrom)
		}
	})
}

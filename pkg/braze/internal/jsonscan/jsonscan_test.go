package jsonscan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMembersAreWalkedInOrder(t *testing.T) {
	in := ` { "a" : 1 , "b\"}":"x\\" ,"c":{"d":[1,"]"]},"":null, "e": [ ] , "f":-1.5e3 } `
	var got []string
	for name, value := range Members([]byte(in)) {
		got = append(got, string(name)+"="+string(value))
	}
	want := []string{`a=1`, `b\"}="x\\"`, `c={"d":[1,"]"]}`, `=null`, `e=[ ]`, `f=-1.5e3`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestElementsAreWalkedInOrder(t *testing.T) {
	var got []string
	for element := range Elements([]byte(` [ 1 ,"a,]", {"b":[2]},[], true] `)) {
		got = append(got, string(element))
	}
	if diff := cmp.Diff([]string{`1`, `"a,]"`, `{"b":[2]}`, `[]`, `true`}, got); diff != "" {
		t.Errorf("elements (-want +got):\n%s", diff)
	}
}

func TestAWalkCanBeLeft(t *testing.T) {
	for name := range Members([]byte(`{"a":1,"b":2}`)) {
		if string(name) != "a" {
			t.Errorf("walked on to %s", name)
		}
		break
	}
	for element := range Elements([]byte(`[1,2]`)) {
		if string(element) != "1" {
			t.Errorf("walked on to %s", element)
		}
		break
	}
}

func TestRunesCountsCharacters(t *testing.T) {
	tests := []struct {
		in   string
		want int
	}{
		{``, 0},
		{`abc`, 3},
		{`€ü`, 2},
		{`\n\"\\`, 3},
		{`\u20ac`, 1},
		{`\ud83d\ude42`, 1},
		{`\uDBFF\uDFFF`, 1},
		{`\ud83d`, 1},
		{`\ud83dx`, 2},
		{`\ud83d\n`, 2},
		{`\ud83d\u0041`, 2},
		{`\ude42\ud83d`, 2},
		{"\xff\xfe", 2},
	}
	for _, tt := range tests {
		if got := Runes([]byte(tt.in), 100); got != tt.want {
			t.Errorf("Runes(%s) = %d, want %d", tt.in, got, tt.want)
		}
	}
	if got := Runes(bytes.Repeat([]byte("x"), 1000), 10); got != 11 {
		t.Errorf("counted to %d, want to stop at one more than the limit", got)
	}
}

// FuzzWalk compares with encoding/json on what is valid, and holds that nothing panics or loops.
func FuzzWalk(f *testing.F) {
	for _, seed := range []string{
		`{"a":1,"b":[{"c":"\\\""},[],{}],"":null}`, `[1,[2,[3]],"x",{}]`, `{"a\u0062":"\ud83d\ude42"}`, `{"a"`, `{"a":`, `["`, `[1,,2]`, `{]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		members, elements := map[string]string{}, []string(nil)
		for name, value := range Members(in) {
			members[strings.ToValidUTF8(string(Unquote(name)), "\ufffd")] = string(value)
			String(value)
		}
		for element := range Elements(in) {
			elements = append(elements, string(element))
		}
		if !json.Valid(in) || strings.Contains(string(in), "\ufffd") || !bytes.Equal(in, []byte(strings.ToValidUTF8(string(in), ""))) {
			return
		}
		var wantMembers map[string]json.RawMessage
		if json.Unmarshal(in, &wantMembers) == nil && wantMembers != nil {
			if len(wantMembers) != len(members) {
				t.Errorf("%d members, want %d", len(members), len(wantMembers))
			}
			for name, value := range wantMembers {
				if !strings.Contains(name, "\ufffd") && string(value) != members[name] {
					t.Errorf("%q is %s, want %s", name, members[name], value)
				}
			}
		}
		var wantElements []json.RawMessage
		if json.Unmarshal(in, &wantElements) == nil {
			if len(wantElements) != len(elements) {
				t.Fatalf("%d elements, want %d", len(elements), len(wantElements))
			}
			for i, element := range wantElements {
				if string(element) != elements[i] {
					t.Errorf("element %d is %s, want %s", i, elements[i], element)
				}
			}
		}
	})
}

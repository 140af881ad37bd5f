package salesforce

import (
	"testing"
	"time"
)

var noon = time.Date(2026, 3, 2, 12, 30, 0, 0, time.UTC)

func TestABudgetOfCallsIsGivenBackAfter24Hours(t *testing.T) {
	b := &budget{calls: 3, recheck: time.Minute}
	for i := range 3 {
		if wait := b.take(noon.Add(time.Duration(i) * time.Hour)); wait != 0 {
			t.Fatalf("call %d has to wait %v", i, wait)
		}
	}
	at := noon.Add(3 * time.Hour)
	wait := b.take(at)
	if until := at.Add(wait); !until.Equal(time.Date(2026, 3, 3, 13, 0, 0, 0, time.UTC)) {
		t.Errorf("the first call is given back at %v", until)
	}
	if wait := b.take(at.Add(wait)); wait != 0 {
		t.Errorf("and then there is none for %v", wait)
	}
	if wait := b.take(at.Add(wait)); wait == 0 {
		t.Error("one call was given back, and two were made")
	}
}

func TestAShareIsOfWhatAllToolsUse(t *testing.T) {
	b := &budget{share: 0.8, recheck: 15 * time.Minute}
	if b.short(0.1, noon) {
		t.Error("a budget of which nothing is known is short")
	}
	b.learn(70_000, 100_000, noon)
	if wait := b.take(noon); wait != 0 || b.short(0.1, noon) {
		t.Errorf("10,000 are left: wait %v, short %v", wait, b.short(0.1, noon))
	}
	b.learn(72_001, 100_000, noon)
	if !b.short(0.1, noon) {
		t.Error("less than a tenth of 80,000 is left, and the budget is not short")
	}
	b.learn(80_000, 100_000, noon)
	if wait := b.take(noon.Add(5 * time.Minute)); wait != 10*time.Minute {
		t.Errorf("wait %v, want the rest of 15 minutes", wait)
	}
	later := noon.Add(15 * time.Minute)
	if wait := b.take(later); wait != 0 {
		t.Errorf("nobody asks whether there is room again, but in %v", wait)
	}
	if wait := b.take(later); wait != 15*time.Minute {
		t.Errorf("a second call need not wait for what the first hears, but %v", wait)
	}
	b.learn(60_000, 100_000, later)
	if wait := b.take(later); wait != 0 {
		t.Errorf("there is room again, and wait is %v", wait)
	}
}

func TestARefusalBlocksEveryCall(t *testing.T) {
	b := &budget{share: 1, recheck: 15 * time.Minute}
	b.refused(noon)
	if wait := b.take(noon.Add(time.Minute)); wait != 14*time.Minute {
		t.Errorf("wait %v", wait)
	}
	if wait := b.take(noon.Add(15 * time.Minute)); wait != 0 {
		t.Errorf("wait %v", wait)
	}
}

func TestUsageIsReadFromTheHeader(t *testing.T) {
	for header, want := range map[string][2]int{
		"api-usage=10018/100000":                             {10018, 100000},
		"api-usage=1/2; per-app-api-usage=17/250(appName=x)": {1, 2},
		"per-app-api-usage=17/250(appName=x), api-usage=3/4": {3, 4},
		"api-usage=x/1": {}, "api-usage=1": {}, "api-usage=1/0": {}, "api-usage=-1/5": {}, "": {}, "usage": {},
	} {
		used, limit, ok := usage(header)
		if ok != (want[1] != 0) || ok && (used != want[0] || limit != want[1]) {
			t.Errorf("%q is read as %d of %d, %v", header, used, limit, ok)
		}
	}
}

package chaos

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestASeedIsASchedule(t *testing.T) {
	if diff := cmp.Diff(Plan(7, 12, 1000, 3), Plan(7, 12, 1000, 3)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(Plan(7, 12, 1000, 3), Plan(8, 12, 1000, 3)) {
		t.Error("another seed, and the same schedule")
	}
}

func TestPlan(t *testing.T) {
	for seed := range uint64(200) {
		for _, kills := range []int{1, 4, 10, 60} {
			steps := Plan(seed, kills, 100_000, 3)
			count := map[Action]int{}
			hard := map[Action]int{}
			away, second := false, false
			for _, s := range steps {
				count[s.Do]++
				if s.Hard {
					hard[s.Do]++
				}
				if s.After < 1_000 || s.After > 95_000 {
					t.Errorf("seed %d: %v is outside the run", seed, s)
				}
				switch s.Do {
				case StopBroker, StartBroker:
					if away == (s.Do == StopBroker) {
						t.Errorf("seed %d: %v, and two brokers are away or none", seed, s)
					}
					away = s.Do == StopBroker
				case KillSender, KillDoor:
				case Join, Leave:
					if second == (s.Do == Join) {
						t.Errorf("seed %d: %v, and it is there already or not yet", seed, s)
					}
					second = s.Do == Join
				}
			}
			rounds := max(1, kills/5)
			want := map[Action]int{KillSender: kills - (kills+1)/3, KillDoor: (kills + 1) / 3, StopBroker: rounds, StartBroker: rounds, Join: rounds, Leave: rounds}
			for _, a := range []Action{KillSender, KillDoor, StopBroker, StartBroker, Join, Leave} {
				if count[a] != want[a] {
					t.Errorf("seed %d, %d kills: %v %d times, want %d", seed, kills, a, count[a], want[a])
				}
			}
			if kills >= 10 && (hard[StopBroker] == 0 || hard[StopBroker] == rounds || hard[Leave] == 0) {
				t.Errorf("seed %d: brokers are stopped one way only, or no sender leaves by SIGKILL: %v", seed, hard)
			}
			if !slices.IsSortedFunc(steps, func(a, b Step) int { return a.After - b.After }) {
				t.Errorf("seed %d: not in order", seed)
			}
		}
	}
}

func TestAPlanForOneBrokerLeavesItAlone(t *testing.T) {
	for _, s := range Plan(1, 10, 1000, 1) {
		if s.Do == StopBroker || s.Do == StartBroker {
			t.Error(s)
		}
	}
}

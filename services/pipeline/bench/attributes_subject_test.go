package bench

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sluicehq/sluice/pkg/daemon"
	attributesync "github.com/sluicehq/sluice/services/attribute-sync"
)

// runSync is the real service, as its own binary runs it.
func runSync() error {
	daemon.Main(attributesync.Name, attributesync.Open)
	return nil
}

// syncer is a running attribute-sync with one core. What it has taken it says itself, on /metrics.
type syncer struct {
	b      *testing.B
	cmd    *exec.Cmd
	addr   string
	before Usage // when it was last looked at
}

func (s *stage) startSync(b *testing.B, prefix, dir string) *syncer {
	b.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	p := &syncer{b: b, addr: ln.Addr().String()}
	ln.Close()
	p.cmd = role("sync", s.env(prefix, "GOMAXPROCS=1", "STATE_DIR="+dir, "OPS_ADDR="+p.addr)...)
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	awaitPort(b, p.addr)
	return p
}

// untilSettled waits until so many records are settled since the start, and returns what was done with the
// last of them. A batch at the very end waits for company that does not come; it is left out.
func (p *syncer) untilSettled(total, last int) (r Result) {
	p.b.Helper()
	start, from := time.Now(), p.before.CPU
	p.await(50*time.Millisecond, func() (int, bool) {
		settled := p.count("accepted_total")
		if r.Events = settled - (total - last); r.Events > 0 {
			r.Wall, r.CPU = time.Since(start), p.cpu()-from
		}
		return settled, settled >= total-min(lastBatch, last/2)
	})
	p.await(20*time.Millisecond, func() (int, bool) {
		settled := p.count("accepted_total")
		return settled, settled >= total
	})
	p.before.CPU = p.cpu()
	return r
}

// lastBatch is ATTRIBUTE_BATCH.
const lastBatch = 10_000

// untilRestored waits until the state is here, and returns what that took from the moment at which the
// service knew which partitions are its own.
func (p *syncer) untilRestored(users int) Result {
	p.b.Helper()
	var start time.Time
	var from time.Duration
	p.await(5*time.Millisecond, func() (int, bool) {
		start, from = time.Now(), p.cpu()
		return 0, p.count("partitions_restoring") > 0
	})
	p.await(20*time.Millisecond, func() (int, bool) {
		ready := p.count("partitions")
		return ready, ready == syncPartitions
	})
	return Result{Events: users, Usage: Usage{Wall: time.Since(start), CPU: p.cpu() - from}}
}

// await asks again and again until it is done, or nothing has changed for too long.
func (p *syncer) await(every time.Duration, ask func() (now int, done bool)) {
	p.b.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	was, since := 0, time.Now()
	for {
		now, done := ask()
		if done {
			return
		}
		if now != was {
			was, since = now, time.Now()
		}
		if time.Since(since) > quietFor {
			p.b.Fatalf("the subject stands still at %d", now)
		}
		<-tick.C
	}
}

// freeze stops the process, so that it finds the topic filled when it goes on.
func (p *syncer) freeze() { p.signal(syscall.SIGSTOP) }

func (p *syncer) thaw() {
	p.signal(syscall.SIGCONT)
	if path := os.Getenv("BENCH_CPUPROFILE"); path != "" {
		go p.profile(path)
	}
}

// profile keeps a CPU profile of the next seconds, and behind them what was allocated, in files that begin with
// path.
func (p *syncer) profile(path string) {
	for _, of := range []string{"profile?seconds=5", "allocs"} {
		name, _, _ := strings.Cut(of, "?")
		if err := p.download("/debug/pprof/"+of, path+"."+name); err != nil {
			p.b.Log(err)
		}
	}
}

func (p *syncer) download(from, to string) error {
	resp, err := http.Get("http://" + p.addr + from)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, resp.Body)
	return errors.Join(err, f.Close())
}

func (p *syncer) signal(s os.Signal) {
	p.b.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.b.Fatal(err)
	}
}

// end lets the process finish and returns the most memory that it had, in MB.
func (p *syncer) end() float64 {
	p.b.Helper()
	p.signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.b.Fatal("attribute-sync: ", err)
	}
	return usageOf(p.cmd.ProcessState).PeakMB
}

func (p *syncer) cpu() time.Duration {
	return time.Duration(p.metric("process_cpu_seconds_total") * float64(time.Second))
}

func (p *syncer) memory() float64 { return p.metric("process_resident_memory_bytes") / (1 << 20) }

// count is the sum of one of the service's own metrics, of those that have a label.
func (p *syncer) count(name string, labels ...string) int {
	return int(p.metric("sluice_attributes_"+name, labels...))
}

func (p *syncer) metric(name string, labels ...string) (sum float64) {
	p.b.Helper()
	resp, err := http.Get("http://" + p.addr + "/metrics")
	if err != nil {
		p.b.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(resp.Body, 64<<20))
	for lines.Scan() {
		line := lines.Text()
		rest, ok := strings.CutPrefix(line, name)
		if !ok || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		for _, label := range labels {
			ok = ok && strings.Contains(rest, label)
		}
		if n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64); ok && err == nil {
			sum += n
		}
	}
	return sum
}

package bench

import (
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"
)

// profile writes a CPU profile of a subject to the file that BENCH_PROFILE_TO names, until SIGTERM.
func profile() (stop func()) {
	path := os.Getenv("BENCH_PROFILE_TO")
	if path == "" {
		return func() {}
	}
	f, err := os.Create(path)
	if err != nil {
		panic(err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		panic(err)
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() {
		<-term
		pprof.StopCPUProfile()
		f.Close()
	}()
	return func() {}
}

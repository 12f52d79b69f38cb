//go:build slow && unix

package remote

import (
	"context"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/stretchr/testify/require"

	"flexi/core/run"
)

const (
	crowd       = 20
	crowdRounds = 12
	crowdSpan   = 2 * time.Second
	settling    = time.Second // logins and first pictures; the crowd stays for days
	// crowdCost is the part of the training's speed that the crowd may cost.
	crowdCost = 0.02
)

// work is a training step of about half a millisecond.
func work(context.Context) {
	x := 0.5
	for range 50_000 {
		x = math.Sqrt(x + 1)
	}
	sink = x
}

var sink float64

// client is one of the crowd: the real ssh on a terminal.
type client struct {
	master *os.File
	cmd    *exec.Cmd
	done   chan struct{}
}

// come attaches a client; stalled ones read nothing.
func (r *rig) come(name string, stalled bool) *client {
	r.t.Helper()
	master, slave, err := pty.Open()
	require.NoError(r.t, err)
	require.NoError(r.t, pty.Setsize(master, &pty.Winsize{Cols: 200, Rows: 60}))
	cmd := r.openSSH(name, "-t", "127.0.0.1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	require.NoError(r.t, cmd.Start())
	slave.Close()
	c := &client{master, cmd, make(chan struct{})}
	go func() {
		defer close(c.done)
		if !stalled {
			_, _ = io.Copy(io.Discard, master) // it ends with the terminal
		}
	}()
	return c
}

func (c *client) leave() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait()
	c.master.Close()
	<-c.done
}

// resizeWildly changes the window 50 times a second.
func (c *client) resizeWildly(ctx context.Context) {
	tick := time.NewTicker(time.Second / 50)
	defer tick.Stop()
	for i := uint16(0); ctx.Err() == nil; i++ {
		<-tick.C
		_ = pty.Setsize(c.master, &pty.Winsize{Cols: 80 + i%100, Rows: 24 + i%30})
	}
}

// cost is what a span of time took.
type cost struct {
	speed float64 // steps a second
	cores float64 // of processors, by the whole process
}

// measure measures a span.
func (r *rig) measure() cost {
	from, spent, began := r.steps.Load(), processorTime(), time.Now()
	time.Sleep(crowdSpan)
	seconds := time.Since(began).Seconds()
	return cost{float64(r.steps.Load()-from) / seconds, (processorTime() - spent).Seconds() / seconds}
}

func processorTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it fails for no argument that is used here
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func (r *rig) present(n int) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	for s := range r.controller.Subscribe(ctx) {
		if len(s.Present) == n {
			return
		}
	}
	r.t.Fatalf("never %d people\n%s", n, r.log.String())
}

// withCrowd measures while twenty people look on: one reads nothing, one resizes without end, one is killed meanwhile.
func (r *rig) withCrowd() cost {
	var people []*client
	for i := range crowd {
		people = append(people, r.come([]string{"ana", "bo"}[i%2], i == 0))
	}
	r.present(crowd)
	time.Sleep(settling)
	ctx, cancel := context.WithCancel(r.t.Context())
	resized := make(chan struct{})
	go func() { defer close(resized); people[1].resizeWildly(ctx) }()
	time.AfterFunc(crowdSpan/2, func() { _ = people[2].cmd.Process.Kill() })
	c := r.measure()
	cancel()
	<-resized
	for _, p := range people {
		p.leave()
	}
	r.present(0)
	return c
}

// rounds measures with a crowd and without by turns, because the machine has other work, too: the median of what a crowd leaves of the speed, the same
// between spans without, which is what the machine's other work does, and the median of the processors that a crowd takes.
func (r *rig) rounds() (left, noise, cores float64) {
	var lefts, noises, taken []float64
	for range crowdRounds {
		before := r.measure()
		with := r.withCrowd()
		after := r.measure()
		lefts = append(lefts, 2*with.speed/(before.speed+after.speed))
		noises = append(noises, math.Abs(after.speed/before.speed-1))
		taken = append(taken, with.cores-(before.cores+after.cores)/2)
	}
	return median(lefts), median(noises), median(taken)
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestCrowd: twenty clients take no more than crowdCost of two cores, and nothing of them stays.
func TestCrowd(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	r.until(run.Running)
	_ = r.withCrowd()
	goroutines, bytes := runtime.NumGoroutine(), heap()
	left, noise, cores := r.rounds()
	t.Logf("the crowd takes %.3f cores; steps/s with it over steps/s without: %.4f, without it between spans: ±%.4f", cores, left, noise)
	require.Less(t, cores, 2*crowdCost)
	require.Eventually(t, func() bool { return runtime.NumGoroutine() <= goroutines }, patience, 10*time.Millisecond)
	t.Logf("heap %d kB before, %d kB after %d clients", bytes>>10, heap()>>10, crowd*crowdRounds)
	require.Less(t, heap(), bytes+4<<20)
}

// TestCrowdAndBusyTraining: training that keeps one core busy keeps its speed. A machine that has so much other work that spans without a crowd differ by as
// much tells nothing.
func TestCrowdAndBusyTraining(t *testing.T) {
	r := newRig(t, Limits{}, work)
	r.until(run.Running)
	left, noise, _ := r.rounds()
	t.Logf("steps/s with the crowd over steps/s without: %.4f; without it between spans: ±%.4f", left, noise)
	if noise > crowdCost/2 {
		t.Skip("the machine has too much other work to tell")
	}
	require.GreaterOrEqual(t, left, 1-crowdCost)
}

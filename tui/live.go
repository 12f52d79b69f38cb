package tui

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"flexi/core/run"
	"flexi/tui/internal/fixture"
)

// Live is what the whole program costs while somebody looks at a search.
type Live struct {
	First          time.Duration // from opening to the first picture
	BytesPerSecond float64       // to the terminal, of a search whose progress changes ten times a second
	LiveCores      float64       // processor time by time, of the same; with what makes up the search
	IdleCores      float64       // of a paused run
	KeyMedian      time.Duration // from a key to the picture that answers it, search going on
	Key95          time.Duration // of 95% of the keys
}

// Pace of the made-up search, and how long each of the two measurements takes at least.
const (
	livePace = 100 * time.Millisecond
	liveSpan = time.Second
)

// MeasureLive runs the program on a terminal that is only counted: it answers no queries, so nothing is left out by synchronised output. trials is at least
// 2, keys, w and h at least 1, span at least a second.
func MeasureLive(ctx context.Context, trials, w, h, keys int, span time.Duration) (Live, error) {
	if trials < 2 || w < 1 || h < 1 || keys < 1 || span < liveSpan {
		return Live{}, fmt.Errorf("measure the workbench: %d trials, %dx%d, %d keys, %v: need at least 2 trials, one of each other, and %v", trials, w, h, keys, span, liveSpan)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := fixture.Snapshot()
	s.Runs = []run.RunView{fixture.Search(trials)}
	viewer, out := fixture.NewViewer(s), &meter{wrote: make(chan struct{}, 1)}
	in, typed := io.Pipe()
	defer typed.Close()
	ended := make(chan error, 1)
	began := time.Now()
	go func() {
		ended <- Run(ctx, viewer, Options{
			In: in, Out: out, Environ: []string{"TERM=xterm-256color", "COLORTERM=truecolor", "LANG=C.UTF-8"}, Size: Size{w, h}, Sizes: make(chan Size),
		})
	}()
	if err := out.until(ended, w*h/2); err != nil {
		return Live{}, err
	}
	l := Live{First: time.Since(began)}
	progress, stop := context.WithCancel(ctx)
	var moving sync.WaitGroup
	moving.Go(func() { move(progress, viewer, *s) })
	l.BytesPerSecond, l.LiveCores = out.over(span)
	err := l.press(typed, out, ended, keys, w*h/4)
	stop()
	moving.Wait()
	if err != nil {
		return Live{}, err
	}
	paused := *s
	paused.Runs = slices.Clone(s.Runs)
	paused.Runs[0].State, paused.Runs[0].Want, paused.Runs[0].Workers = run.Paused, run.Paused, nil
	viewer.Publish(&paused)
	time.Sleep(snapshotPause * 2) // until it is drawn
	_, l.IdleCores = out.over(span)
	if _, err := io.WriteString(typed, "q"); err != nil {
		return Live{}, err
	}
	return l, <-ended
}

// press goes from screen to screen and back, and times the answers: another screen takes at least so many bytes, which progress does not.
func (l *Live) press(typed io.Writer, out *meter, ended <-chan error, keys, fresh int) error {
	took := make([]time.Duration, keys)
	for i := range took {
		time.Sleep(time.Duration(i%7) * 11 * time.Millisecond) // keys know nothing of the pace of pictures
		began, from := time.Now(), out.bytes()
		if _, err := io.WriteString(typed, []string{"2", "1"}[i%2]); err != nil {
			return err
		}
		if err := out.until(ended, from+fresh); err != nil {
			return err
		}
		took[i] = time.Since(began)
	}
	slices.Sort(took)
	l.KeyMedian, l.Key95 = took[keys/2], took[min(keys*95/100, keys-1)]
	return nil
}

// move lets the workers of a made-up search advance.
func move(ctx context.Context, v *fixture.Viewer, s run.Snapshot) {
	for n := 1; sleep(ctx, livePace); n++ {
		next := s
		next.Time = s.Time.Add(time.Duration(n) * livePace)
		next.Runs = slices.Clone(s.Runs)
		next.Runs[0].Workers = slices.Clone(s.Runs[0].Workers)
		for i := range next.Runs[0].Workers {
			w := &next.Runs[0].Workers[i]
			w.Step = (w.Step + n) % max(w.Steps, 1)
			w.Loss += 0.01 * float64(n%17)
			w.TokensPerSecond += 100 * float64(n%13)
			w.ETA -= time.Duration(n) * livePace
		}
		v.Publish(&next)
	}
}

// meter counts what is written.
type meter struct {
	mu    sync.Mutex
	n     int
	wrote chan struct{}
}

func (m *meter) Write(p []byte) (int, error) {
	m.mu.Lock()
	m.n += len(p)
	m.mu.Unlock()
	select {
	case m.wrote <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (m *meter) bytes() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.n
}

// until waits until so many bytes have been written in all.
func (m *meter) until(ended <-chan error, n int) error {
	late := time.After(10 * time.Second)
	for m.bytes() < n {
		select {
		case <-m.wrote:
		case err := <-ended:
			return fmt.Errorf("the workbench ended while it was measured: %w", err)
		case <-late:
			return fmt.Errorf("measure the workbench: no picture within 10 s; %d bytes of %d", m.bytes(), n)
		}
	}
	return nil
}

// over is what is written and what processor time is used in a while, by time.
func (m *meter) over(span time.Duration) (bytesPerSecond, cores float64) {
	began, bytes, used := time.Now(), m.bytes(), run.ProcessSeconds()
	time.Sleep(span)
	seconds := time.Since(began).Seconds()
	return float64(m.bytes()-bytes) / seconds, (run.ProcessSeconds() - used) / seconds
}

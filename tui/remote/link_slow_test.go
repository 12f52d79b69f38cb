//go:build slow && unix

package remote

import (
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"flexi/core/run"
)

// throttle is a way to an address that delays everything and carries so many bytes a second in each direction; it returns where it begins.
func throttle(t *testing.T, to string, delay time.Duration, rate int) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				c.Close()
				continue
			}
			all.Go(func() { carry(c, s, delay, rate) })
			all.Go(func() { carry(s, c, delay, rate) })
		}
	})
	return l.Addr().String()
}

// parcel is what arrives at a time.
type parcel struct {
	bytes []byte
	at    time.Time
}

// carry moves bytes until either end closes. Little is on the way at any time, as in a modem's buffer.
func carry(from, to net.Conn, delay time.Duration, rate int) {
	way := make(chan parcel, 16)
	go func() {
		defer close(way)
		free := time.Now()
		for {
			b := make([]byte, 512)
			n, err := from.Read(b)
			if n > 0 {
				if now := time.Now(); free.Before(now) {
					free = now
				}
				free = free.Add(time.Duration(n) * time.Second / time.Duration(rate))
				way <- parcel{b[:n], free.Add(delay)}
			}
			if err != nil {
				return
			}
		}
	}()
	for p := range way {
		time.Sleep(time.Until(p.at))
		if _, err := to.Write(p.bytes); err != nil {
			from.Close() // which ends the reader; what it still has is nobody's
		}
	}
	to.Close()
	_, _ = io.Copy(io.Discard, from)
}

// TestSlowLink: with 300 ms there and back and 10 kB a second at 80x24, pictures of live data do not queue up before the answer to a key.
func TestSlowLink(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	r.address = throttle(t, r.address, 150*time.Millisecond, 10_000)
	began := time.Now()
	term, _, wait := r.sit("ana", 80, 24)
	term.Shows("● running")
	t.Logf("from ssh to the first picture: %v", time.Since(began))
	var took []time.Duration
	answer := func(keys, text string) {
		t.Helper()
		began := time.Now()
		term.Type(keys)
		term.Shows(text)
		took = append(took, time.Since(began))
	}
	for range 5 {
		time.Sleep(2 * time.Second) // of live data
		answer("3", "architecture #0")
		answer("6", "goroutines")
		answer("1", "› overview")
	}
	slices.Sort(took)
	t.Logf("from key to picture: median %v, longest %v", took[len(took)/2], took[len(took)-1])
	require.Less(t, took[len(took)-1], 3*time.Second)
	term.Type("p")
	r.until(run.Paused)
	term.Type("q")
	require.NoError(t, wait())
}

// TestTraffic: how much a window of live data takes, and how long keys do, over the loopback.
func TestTraffic(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	term, _, _ := r.sit("ana", 200, 60)
	term.Shows("● running")
	time.Sleep(2 * time.Second)
	const span = 10 * time.Second
	from := term.Bytes()
	time.Sleep(span)
	rate := float64(term.Bytes()-from) / span.Seconds()
	t.Logf("%.0f bytes a second at 200x60", rate)
	require.Less(t, rate, 3000.0)
	var took []time.Duration
	for i := range 60 {
		key, text := "3", "architecture #0"
		if i%2 == 1 {
			key, text = "1", "› overview"
		}
		began := time.Now()
		term.Type(key)
		term.Until(func(s string) bool { return strings.Contains(s, text) }, text)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("from key to picture: median %v, 95th percentile %v", took[len(took)/2], took[len(took)*95/100])
}

// TestIdle: an attached window of a paused run takes next to nothing.
func TestIdle(t *testing.T) {
	r := newRig(t, Limits{}, tick)
	term, cmd, wait := r.sit("ana", 200, 60)
	term.Shows("● running")
	term.Type("p")
	term.Shows("‖ paused")
	time.Sleep(time.Second)
	const span = 10 * time.Second
	from, bytes := processorTime(), term.Bytes()
	time.Sleep(span)
	cores := (processorTime() - from).Seconds() / span.Seconds()
	t.Logf("the server takes %.4f cores and sends %d bytes in %v", cores, term.Bytes()-bytes, span)
	require.Less(t, cores, 0.01)
	term.Type("q")
	require.NoError(t, wait())
	client := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	t.Logf("the client took %v in all", client)
	require.Less(t, client, span/100)
}

package kern

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Pool is a fixed team of threads: the goroutine that calls ParallelFor, which is worker 0, and n-1 goroutines that wait for tasks. It is used by one
// goroutine at a time, and ParallelFor must not be called from inside a task.
type Pool struct {
	helpers    []helper
	workspaces []Workspace
	gemm       gemmJob

	body   func(task, worker int)
	tasks  int64
	next   atomic.Int64 // the next task to hand out
	active atomic.Int64 // helpers inside the present job that have not left it
	asleep atomic.Bool  // the caller waits for left
	left   chan struct{}
	failed atomic.Pointer[TaskPanic]
	busy   atomic.Bool
	closed bool
}

// helper is the mailbox of one waiting goroutine, alone on its cache lines.
type helper struct {
	wake  chan struct{}
	state atomic.Int32
	_     [112]byte
}

// States of a helper. The caller posts work; a helper claims it, unless the caller, having run out of tasks, withdrew it. A helper that has found
// none for spinTime parks, and must be woken.
const (
	idle int32 = iota
	posted
	claimed
	parked
)

// spinTime is how long a thread looks for work, or for the end of others' work, before it sleeps. Kernels of a training step follow each other within
// microseconds, and to wake a sleeping thread takes a tenth of a millisecond where the machine is a virtual one.
const spinTime = 500 * time.Microsecond

// spin waits until done, and reports false if that takes too long. Other goroutines get their turn meanwhile.
func spin(done func() bool) bool {
	start := time.Now()
	for {
		for range 64 {
			if done() {
				return true
			}
		}
		if time.Since(start) > spinTime {
			return false
		}
		runtime.Gosched()
	}
}

// TaskPanic is what ParallelFor panics with when a task panicked: the value and the stack of the goroutine it happened on.
type TaskPanic struct {
	Value any
	Stack []byte
}

// Error describes the panic and where it happened.
func (p *TaskPanic) Error() string {
	return fmt.Sprintf("kern: panic in a task: %v\n%s", p.Value, p.Stack)
}

// Unwrap gives the panic value if it was an error.
func (p *TaskPanic) Unwrap() error {
	err, _ := p.Value.(error)
	return err
}

// NewPool starts a team of the given number of threads, at least 1. A team of 1 has no goroutines and runs everything inline.
func NewPool(threads int) *Pool {
	threads = max(threads, 1)
	p := &Pool{
		helpers:    make([]helper, threads-1),
		workspaces: make([]Workspace, threads),
		left:       make(chan struct{}, 1),
	}
	p.gemm.bind(p)
	for i := range p.helpers {
		p.helpers[i].wake = make(chan struct{}, 1)
		go p.serve(&p.helpers[i], i+1)
	}
	return p
}

// Threads is the size of the team.
func (p *Pool) Threads() int { return len(p.workspaces) }

// Workspace is the scratch memory of a worker, for use inside its tasks (or, for worker 0, by the caller between jobs).
func (p *Pool) Workspace(worker int) *Workspace { return &p.workspaces[worker] }

// Close ends the goroutines. The pool must be idle, and is dead afterwards; closing twice is allowed.
func (p *Pool) Close() {
	if p.closed {
		return
	}
	p.closed = true
	for i := range p.helpers {
		close(p.helpers[i].wake)
	}
}

// ParallelFor calls body once for each task in [0, n) and returns when all are done. worker is in [0, Threads) and no two tasks run at
// once with the same worker. Which worker gets which task is not determined, so a task's result must not depend on worker.
// A panicking task stops the handing out of further tasks and is raised on the caller: as itself where the tasks run inline (one thread or
// one task), as a *TaskPanic otherwise. It allocates nothing; a body that captures variables is itself one allocation, which callers in a
// hot loop save by binding it once.
func (p *Pool) ParallelFor(n int, body func(task, worker int)) {
	if n <= 0 {
		return
	}
	if n == 1 || len(p.helpers) == 0 {
		for task := range n {
			body(task, 0)
		}
		return
	}
	if p.closed || !p.busy.CompareAndSwap(false, true) {
		panic("kern: ParallelFor on a closed pool, or from inside a task")
	}
	p.body, p.tasks = body, int64(n)
	p.next.Store(0)
	team := p.helpers[:min(len(p.helpers), n-1)]
	p.post(team)
	p.drain(0)
	p.await(team)
	p.body = nil
	failed := p.failed.Swap(nil)
	p.busy.Store(false)
	if failed != nil {
		panic(failed)
	}
}

func (p *Pool) post(team []helper) {
	p.active.Store(int64(len(team)))
	for i := range team {
		if team[i].state.Swap(posted) == parked {
			team[i].wake <- struct{}{}
		}
	}
}

// await withdraws the job from the helpers that have not woken yet, and waits for the others.
func (p *Pool) await(team []helper) {
	withdrawn := int64(0)
	for i := range team {
		if team[i].state.CompareAndSwap(posted, idle) {
			withdrawn++
		}
	}
	if withdrawn == int64(len(team)) {
		return
	}
	// The helper that brings active to zero signals; if taking out the withdrawn ones does it, everybody has left already.
	if withdrawn > 0 && p.active.Add(-withdrawn) == 0 {
		return
	}
	if spin(p.everybodyLeft) {
		return
	}
	p.asleep.Store(true)
	if !p.everybodyLeft() || !p.asleep.CompareAndSwap(true, false) {
		<-p.left
	}
}

func (p *Pool) everybodyLeft() bool { return p.active.Load() == 0 }

func (h *helper) hasWork() bool { return h.state.Load() == posted }

func (p *Pool) serve(h *helper, worker int) {
	for {
		if !spin(h.hasWork) && h.state.CompareAndSwap(idle, parked) {
			if _, open := <-h.wake; !open {
				return
			}
		}
		if !h.state.CompareAndSwap(posted, claimed) {
			continue
		}
		p.drain(worker)
		h.state.Store(idle)
		// The last to leave wakes the caller if that is asleep.
		if p.active.Add(-1) == 0 && p.asleep.CompareAndSwap(true, false) {
			p.left <- struct{}{}
		}
	}
}

// drain runs tasks until none is left.
func (p *Pool) drain(worker int) {
	defer p.rescue()
	for {
		task := p.next.Add(1) - 1
		if task >= p.tasks {
			return
		}
		p.body(int(task), worker)
	}
}

func (p *Pool) rescue() {
	if v := recover(); v != nil {
		p.next.Store(p.tasks)
		p.failed.CompareAndSwap(nil, &TaskPanic{Value: v, Stack: debug.Stack()})
	}
}

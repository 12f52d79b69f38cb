package cuda

import (
	"bytes"
	"unsafe"

	"flexi/core/device"
)

var _ device.Replayer = (*Device)(nil)

// Replay queues what run queues. The first time it only watches where run gets its working memory from; the second time it makes a CUDA graph; from the
// third on it queues that graph, after giving those kernels new arguments whose arguments differ (seeds of dropout). If run asks for other kernels or
// products than before, it is queued as it is and starts anew.
func (d *Device) Replay(key any, run func() error) error {
	if d.careful || !d.ready() || d.rec.active() {
		return run()
	}
	r := d.rec.graphs[key]
	d.rec.clock++
	if r == nil {
		r = d.newRecording(key)
		return d.within(r, watching, run)
	}
	r.used = d.rec.clock
	if r.hopeless {
		return d.within(r, watching, run)
	}
	if r.graph == nil {
		return d.capture(r, run)
	}
	r.at, r.atProduct, r.atMemory, r.differs = 0, 0, 0, false
	if err := d.within(r, patching, run); err != nil {
		return err
	}
	if r.differs || r.at != len(r.launches) || r.atProduct != len(r.products) {
		d.forgetGraph(key)
		return run()
	}
	d.fail(r.graph.run())
	return nil
}

// maxGraphs is how many keys are remembered, since each keeps working memory of its own; the one not used for longest makes room.
const maxGraphs = 16

func (d *Device) newRecording(key any) *recorded {
	if d.rec.graphs == nil {
		d.rec.graphs = map[any]*recorded{}
	}
	r := &recorded{lists: map[int][]uintptr{}, used: d.rec.clock}
	if len(d.rec.graphs) >= maxGraphs {
		var oldest any
		for k, r := range d.rec.graphs {
			if oldest == nil || r.used < d.rec.graphs[oldest].used {
				oldest = k
			}
		}
		d.fail(d.drv.sync()) // it may still be running
		r.lists, d.rec.graphs[oldest].lists = d.rec.graphs[oldest].lists, nil
		d.forgetGraph(oldest)
	}
	d.rec.graphs[key] = r
	return r
}

// capture makes the graph and queues it.
func (d *Device) capture(r *recorded, run func() error) error {
	r.launches, r.products, r.memory = nil, nil, nil
	g, err := d.drv.record(func() error { return d.within(r, capturing, run) })
	if err != nil || !d.ready() {
		// What cannot be recorded is queued kernel by kernel; if something is broken, that says so.
		r.hopeless, d.err = true, nil
		return d.within(r, watching, run)
	}
	r.graph = g
	d.fail(g.run())
	return nil
}

// within runs with the working memory of a recording. Copies of operands do not outlive it, so every time begins alike.
func (d *Device) within(r *recorded, m mode, run func() error) error {
	d.forgetAll()
	lists := d.pool.lists
	d.pool.lists, d.rec.now, d.rec.mode = r.lists, r, m
	defer func() {
		d.forgetAll()
		r.lists, d.pool.lists = d.pool.lists, lists
		d.rec.now, d.rec.mode = nil, idle
	}()
	return run()
}

// forgetGraph gives a recording's memory back.
func (d *Device) forgetGraph(key any) {
	r := d.rec.graphs[key]
	if r.graph != nil {
		r.graph.close()
	}
	for size, list := range r.lists {
		d.pool.lists[size] = append(d.pool.lists[size], list...)
	}
	delete(d.rec.graphs, key)
}

func (d *Device) forgetGraphs() {
	if len(d.rec.graphs) > 0 {
		d.fail(d.drv.sync())
	}
	for key := range d.rec.graphs {
		d.forgetGraph(key)
	}
}

type mode uint8

const (
	idle mode = iota
	watching
	capturing
	patching
)

// recording is the state of Replay.
type recording struct {
	graphs map[any]*recorded
	clock  int // calls of Replay
	now    *recorded
	mode   mode
}

// recorded is a sequence of kernels and products under one key.
type recorded struct {
	graph    graph
	lists    map[int][]uintptr // free working memory of its own
	memory   []uintptr         // what was taken, in order
	launches []seen
	products []product

	at, atProduct, atMemory int
	differs                 bool
	hopeless                bool // it could not be recorded
	used                    int  // when Replay last asked for it
}

// seen is a launch with a copy of its arguments.
type seen struct {
	launch
	bytes []byte
}

func argumentsOf(l launch) []byte { return unsafe.Slice((*byte)(l.args), l.size) }

func (r *recording) active() bool   { return r.mode == capturing || r.mode == patching }
func (r *recording) patching() bool { return r.mode == patching }

func (r *recording) took(at uintptr) {
	if r.mode == capturing {
		r.now.memory = append(r.now.memory, at)
	}
}

// again is the memory that was taken at this place.
func (r *recording) again() uintptr {
	if r.now.atMemory >= len(r.now.memory) {
		r.now.differs = true
		return 0
	}
	r.now.atMemory++
	return r.now.memory[r.now.atMemory-1]
}

func (r *recording) sawLaunch(l launch) {
	if r.mode == capturing {
		r.now.launches = append(r.now.launches, seen{l, bytes.Clone(argumentsOf(l))})
	}
}

func (r *recording) sawProduct(p product) {
	if r.mode == capturing {
		r.now.products = append(r.now.products, p)
	}
}

// patch compares a launch with the recorded one and brings its arguments up to date.
func (r *recording) patch(l launch) error {
	now := r.now
	if now.differs || now.at >= len(now.launches) {
		now.differs = true
		return nil
	}
	s := &now.launches[now.at]
	now.at++
	if s.kernel != l.kernel || s.columns != l.columns || s.rows != l.rows || s.block != l.block || s.shared != l.shared {
		now.differs = true
		return nil
	}
	args := argumentsOf(l)
	if bytes.Equal(s.bytes, args) {
		return nil
	}
	copy(s.bytes, args)
	return now.graph.update(now.at-1, l)
}

func (r *recording) same(p product) {
	now := r.now
	if now.atProduct >= len(now.products) || now.products[now.atProduct] != p {
		now.differs = true
	}
	now.atProduct++
}

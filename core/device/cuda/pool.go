package cuda

import (
	"errors"
	"fmt"
	"math/bits"
	"strings"

	"flexi/core/device"
)

// pool keeps working memory for the next kernel that needs as much. Kernels run in the order of one stream, so memory can be given away again while the
// kernel that used it is still queued.
type pool struct {
	drv   driver
	lists map[int][]uintptr // free memory by size
	sizes map[uintptr]int   // of all memory of the pool
	bytes int               // of all memory of the pool
	given int               // of Alloc
}

// rounded is the size class of a request: powers of two up to 1 MiB, then quarters of powers of two.
func rounded(bytes int) int {
	step := 1 << max(8, bits.Len(uint(max(bytes-1, 1))))
	if step > 1<<20 {
		step >>= 3
	}
	return ceil(max(bytes, 1), step) * step
}

func (p *pool) take(bytes int) (uintptr, error) {
	size := rounded(bytes)
	if list := p.lists[size]; len(list) > 0 {
		p.lists[size] = list[:len(list)-1]
		return list[len(list)-1], nil
	}
	at, err := p.drv.alloc(size)
	if err != nil {
		return 0, err
	}
	p.sizes[at] = size
	p.bytes += size
	return at, nil
}

func (p *pool) give(at uintptr) {
	if at != 0 {
		p.lists[p.sizes[at]] = append(p.lists[p.sizes[at]], at)
	}
}

// release frees what is not in use.
func (p *pool) release() {
	for size, list := range p.lists {
		for _, at := range list {
			if p.drv.free(at) == nil {
				p.bytes -= size
			}
			delete(p.sizes, at)
		}
	}
	clear(p.lists)
}

// take is working memory until give.
func (d *Device) take(bytes int) uintptr {
	if !d.ready() {
		return 0
	}
	if d.rec.patching() {
		return d.rec.again()
	}
	at, err := d.pool.take(bytes)
	if errors.Is(err, device.ErrFull) && !d.rec.active() {
		d.drop()
		at, err = d.pool.take(bytes)
	}
	if err != nil {
		d.fail(d.noMemory(bytes, err))
	}
	d.rec.took(at)
	return at
}

func (d *Device) give(at ...uintptr) {
	if d.rec.patching() {
		return
	}
	for _, p := range at {
		d.pool.give(p)
	}
}

// noMemory says what was asked for, what is free and who has the rest.
func (d *Device) noMemory(bytes int, err error) error {
	if !errors.Is(err, device.ErrFull) {
		return d.explain(err)
	}
	text := fmt.Sprintf("%s asked for, ", size(bytes))
	if free, total, err := d.drv.memory(); err == nil {
		text += fmt.Sprintf("%s of %s free", size(free), size(total))
	}
	text += fmt.Sprintf("; this device holds %s for models and %s to work with", size(d.pool.given), size(d.pool.bytes))
	var others []string
	for _, h := range d.drv.holders() {
		others = append(others, fmt.Sprintf("%s (process %d) %s", h.name, h.pid, size(h.bytes)))
	}
	if len(others) > 0 {
		text += "; processes on the GPU: " + strings.Join(others, ", ")
	}
	return fmt.Errorf("%w: %s; fewer workers, a smaller batch or shorter sequences need less", device.ErrFull, text)
}

func size(bytes int) string {
	if bytes < 1e8 {
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(bytes)/1e9)
}

// shadow is the copy of an operand rounded to bfloat16: rows of ld elements, zeros behind the columns. half says that the operand is bfloat16 itself.
type shadow struct {
	of   view
	half bool
	at   uintptr
	ld   int
}

func (s shadow) overlaps(lo, hi uintptr) bool {
	bytes := 4
	if s.half {
		bytes = 2
	}
	end := s.of.at + uintptr(bytes*((int(s.of.rows)-1)*int(s.of.ld)+int(s.of.cols)))
	return s.of.at < hi && lo < end
}

// half gives an operand's copy in bfloat16, made when there is none.
func (d *Device) half(v view, half bool) (uintptr, int) {
	for _, s := range d.shadows {
		if s.of == v && s.half == half {
			return s.at, s.ld
		}
	}
	ld := ceil(int(v.cols), 8) * 8
	s := shadow{of: v, half: half, at: d.take(2 * ld * int(v.rows)), ld: ld}
	if !d.ready() {
		return 0, ld
	}
	a := castArgs{x: v, z: s.at, ld: int32(ld)}
	if half {
		a.half = 1
	}
	each(d, toBF16, int(v.rows)*ld/2, &a)
	d.shadows = append(d.shadows, s)
	return s.at, ld
}

// halfOf is where a kernel that writes a view puts its copy in bfloat16 at the same time, for the product that is likely to follow; 0 if it need not, or
// if rows would need padding.
func (d *Device) halfOf(v view) uintptr {
	if d.precision != device.PrecisionBF16 || v.cols%8 != 0 || v.rows == 0 {
		return 0
	}
	at := d.take(2 * int(v.rows) * int(v.cols))
	if d.ready() {
		d.shadows = append(d.shadows, shadow{of: v, at: at, ld: int(v.cols)})
	}
	return at
}

// changed forgets the copies of what lies in memory that is about to be written.
func (d *Device) changed(at uintptr, bytes int) {
	kept := d.shadows[:0]
	for _, s := range d.shadows {
		if s.overlaps(at, at+uintptr(bytes)) {
			d.give(s.at)
		} else {
			kept = append(kept, s)
		}
	}
	d.shadows = kept
}

func (d *Device) forgetAll() {
	for _, s := range d.shadows {
		d.give(s.at)
	}
	d.shadows = d.shadows[:0]
}

// stage is pinned memory through which copies go.
type stage struct {
	drv    driver
	memory []byte
	used   int
	late   []byte // for copies that are waited for one by one
	reads  int
}

// stageBytes is for copies that are waited for together, lateBytes for one of the others.
const (
	stageBytes = 8 << 20
	lateBytes  = 64
)

func (s *stage) open() error {
	if s.memory != nil {
		return nil
	}
	all, err := s.drv.pinned(stageBytes + marks*lateBytes)
	if err == nil {
		s.memory, s.late = all[:stageBytes:stageBytes], all[stageBytes:]
	}
	return err
}

// later queues a copy to the host behind which it sets a mark.
func (s *stage) later(bytes int, from uintptr) (mark int, to []byte, err error) {
	if err := s.open(); err != nil {
		return 0, nil, err
	}
	mark = s.reads % marks
	s.reads++
	to = s.late[mark*lateBytes:][:lateBytes][:bytes]
	if err := s.drv.download(to, from); err != nil {
		return 0, nil, err
	}
	return mark, to, s.drv.mark(mark)
}

// upload copies without waiting, as long as there is room.
func (s *stage) upload(to uintptr, from []byte) error {
	if err := s.open(); err != nil {
		return err
	}
	for len(from) > 0 {
		if s.used == len(s.memory) {
			if err := s.drv.sync(); err != nil {
				return err
			}
			s.used = 0
		}
		n := copy(s.memory[s.used:], from)
		if err := s.drv.upload(to, s.memory[s.used:s.used+n]); err != nil {
			return err
		}
		s.used, from, to = s.used+n, from[n:], to+uintptr(n)
	}
	return nil
}

// download copies what is queued to be computed, and waits for it.
func (s *stage) download(to []byte, from uintptr) error {
	if err := s.open(); err != nil {
		return err
	}
	for len(to) > 0 {
		if s.used == len(s.memory) {
			if err := s.drv.sync(); err != nil {
				return err
			}
			s.used = 0
		}
		room := s.memory[s.used:]
		n := min(len(to), len(room))
		if err := s.drv.download(room[:n], from); err != nil {
			return err
		}
		if err := s.drv.sync(); err != nil {
			return err
		}
		copy(to, room[:n])
		s.used, to, from = 0, to[n:], from+uintptr(n)
	}
	return nil
}

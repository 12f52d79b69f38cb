package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// bbolt trusts its pages: a damaged one makes it panic, partly in goroutines of its own, where nobody can recover. So a file is walked
// here, with every bound checked, before bbolt may map it. The walk is stricter than bbolt's own check: the elements of a page must
// fill it from the front without gaps, as bbolt writes them, so that a page cannot lose records by a smaller count.
//
// Layout (bbolt 1.3 to 1.5, host byte order, which is little endian on every system flexi is built for):
//
//	page:    id u64, flags u16, count u16, overflow u32, then the elements
//	meta:    magic u32, version u32, page size u32, flags u32, root u64, sequence u64, freelist u64, high u64, txid u64, FNV-1a-64 u64
//	branch:  position u32, key size u32, page u64
//	leaf:    flags u32, position u32, key size u32, value size u32
//	bucket:  root u64, sequence u64; root 0: the page follows inside the value

const (
	pageHeader    = 16
	elementSize   = 16
	metaSize      = 64
	bucketHeader  = 16
	boltMagic     = 0xED0CDAED
	boltVersion   = 2
	flagBranch    = 0x01
	flagLeaf      = 0x02
	elementBucket = 0x01
	smallestPage  = 1 << 10
	largestPage   = 1 << 16
)

var order = binary.LittleEndian

// boltMeta is the head of a database: where the tree begins and how many pages there are.
type boltMeta struct {
	pageSize   uint64
	root, high uint64
	freelist   uint64
	txid       uint64
}

// noFreelist stands for a free list that is found by a scan at start, as our options ask for.
const noFreelist = ^uint64(0)

// walker visits every record of a bbolt file.
type walker struct {
	file  io.ReaderAt
	meta  boltMeta
	seen  map[uint64]bool
	visit func(bucket, key, value []byte) error
	found walked
}

// walked is what a walk saw besides records.
type walked struct {
	buckets []string
	// stale is set when one of the two meta pages is unreadable: the newest transaction may have been behind it.
	stale bool
	txid  uint64 // the newest transaction
}

// walk checks the structure of a bbolt file and calls visit for each record, in the order of keys within each bucket. Its errors are
// ErrDamaged, errors of visit, and errors of reading.
func walk(file io.ReaderAt, size int64, visit func(bucket, key, value []byte) error) (walked, error) {
	w := &walker{file: file, seen: map[uint64]bool{}, visit: visit}
	if err := w.readMeta(uint64(size)); err != nil {
		return walked{}, err
	}
	err := w.walkPage(w.meta.root, bounds{}, func(e leafElement) error {
		if e.flags != elementBucket {
			return damaged("a value outside of all buckets, key %q", e.key)
		}
		w.found.buckets = append(w.found.buckets, string(e.key))
		return w.walkBucket(e.key, e.value)
	})
	return w.found, err
}

func (w *walker) readMeta(size uint64) error {
	first, ok := w.metaAt(0)
	metas := make([]boltMeta, 0, 2)
	if ok {
		metas = append(metas, first)
	}
	for pageSize := uint64(smallestPage); pageSize <= largestPage; pageSize *= 2 {
		if m, found := w.metaAt(pageSize); found && m.pageSize == pageSize && (!ok || first.pageSize == pageSize) {
			metas = append(metas, m)
			break
		}
	}
	if len(metas) == 0 {
		return damaged("no readable head in %d bytes", size)
	}
	w.found.stale = len(metas) == 1
	w.meta = metas[0]
	if len(metas) == 2 && metas[1].txid > metas[0].txid {
		w.meta = metas[1]
	}
	w.found.txid = w.meta.txid
	if w.meta.freelist != noFreelist {
		return damaged("its newest head is one that flexi never wrote")
	}
	if have := size / w.meta.pageSize; w.meta.high > have {
		return damaged("it has %d of %d pages; it was cut off", have, w.meta.high)
	}
	return nil
}

func (w *walker) metaAt(offset uint64) (m boltMeta, ok bool) {
	b := make([]byte, pageHeader+metaSize)
	if _, err := w.file.ReadAt(b, int64(offset)); err != nil {
		return m, false
	}
	b = b[pageHeader:]
	h := fnv.New64a()
	h.Write(b[:metaSize-8])
	if order.Uint32(b) != boltMagic || order.Uint32(b[4:]) != boltVersion || order.Uint64(b[metaSize-8:]) != h.Sum64() {
		return m, false
	}
	m = boltMeta{pageSize: uint64(order.Uint32(b[8:])), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]), high: order.Uint64(b[40:]), txid: order.Uint64(b[48:])}
	return m, m.pageSize >= smallestPage && m.pageSize <= largestPage
}

// bounds are the keys a page may hold: from low (inclusive) to high (exclusive); nil is open.
type bounds struct{ low, high []byte }

func (b bounds) hold(key []byte) bool {
	return (b.low == nil || bytes.Compare(key, b.low) >= 0) && (b.high == nil || bytes.Compare(key, b.high) < 0)
}

type leafElement struct {
	flags      uint32
	key, value []byte
}

// page reads a page with its overflow and marks it as seen.
func (w *walker) page(id uint64) ([]byte, error) {
	if id < 2 || id >= w.meta.high {
		return nil, damaged("a reference to page %d of %d", id, w.meta.high)
	}
	head := make([]byte, pageHeader)
	if _, err := w.file.ReadAt(head, int64(id*w.meta.pageSize)); err != nil {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	overflow := uint64(order.Uint32(head[12:]))
	if order.Uint64(head) != id || id+overflow >= w.meta.high {
		return nil, damaged("page %d has a wrong head", id)
	}
	for i := id; i <= id+overflow; i++ {
		if w.seen[i] {
			return nil, damaged("page %d is used twice", i)
		}
		w.seen[i] = true
	}
	b := make([]byte, (1+overflow)*w.meta.pageSize)
	if _, err := w.file.ReadAt(b, int64(id*w.meta.pageSize)); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	return b, nil
}

// walkPage visits the leaves under a page.
func (w *walker) walkPage(id uint64, within bounds, leaf func(leafElement) error) error {
	b, err := w.page(id)
	if err != nil {
		return err
	}
	switch order.Uint16(b[8:]) {
	case flagLeaf:
		_, err := walkLeaf(b, fmt.Sprintf("page %d", id), within, leaf)
		return err
	case flagBranch:
		return w.walkBranch(b, id, within, leaf)
	}
	return damaged("page %d has unknown flags %#x", id, order.Uint16(b[8:]))
}

func (w *walker) walkBranch(b []byte, id uint64, within bounds, leaf func(leafElement) error) error {
	n := int(order.Uint16(b[10:]))
	next := pageHeader + n*elementSize
	if n == 0 || next > len(b) {
		return damaged("branch page %d claims %d children", id, n)
	}
	keys, children := make([][]byte, n), make([]uint64, n)
	for i := range n {
		at := pageHeader + i*elementSize
		size := int(order.Uint32(b[at+4:]))
		if at+int(order.Uint32(b[at:])) != next || size == 0 || size > len(b)-next {
			return damaged("branch page %d, child %d", id, i)
		}
		keys[i], children[i] = b[next:next+size], order.Uint64(b[at+8:])
		next += size
		if !within.hold(keys[i]) || i > 0 && bytes.Compare(keys[i-1], keys[i]) >= 0 {
			return damaged("branch page %d, key %d is out of order", id, i)
		}
	}
	for i, child := range children {
		inside := bounds{keys[i], within.high}
		if i+1 < n {
			inside.high = keys[i+1]
		}
		if err := w.walkPage(child, inside, leaf); err != nil {
			return err
		}
	}
	return nil
}

// walkLeaf visits the elements of a leaf page and returns where their data end.
func walkLeaf(b []byte, where string, within bounds, leaf func(leafElement) error) (end int, err error) {
	n := int(order.Uint16(b[10:]))
	next := pageHeader + n*elementSize
	if next > len(b) {
		return 0, damaged("%s claims %d records", where, n)
	}
	if n == 0 && len(bytes.TrimLeft(b[pageHeader:], "\x00")) > 0 {
		return 0, damaged("%s has lost its records", where)
	}
	var last []byte
	for i := range n {
		at := pageHeader + i*elementSize
		keySize, valueSize := int(order.Uint32(b[at+8:])), int(order.Uint32(b[at+12:]))
		if at+int(order.Uint32(b[at+4:])) != next || keySize == 0 || keySize > len(b)-next || valueSize > len(b)-next-keySize {
			return 0, damaged("%s, record %d", where, i)
		}
		e := leafElement{order.Uint32(b[at:]), b[next : next+keySize], b[next+keySize : next+keySize+valueSize]}
		next += keySize + valueSize
		if !within.hold(e.key) || last != nil && bytes.Compare(last, e.key) >= 0 {
			return 0, damaged("%s, key %d is out of order", where, i)
		}
		last = e.key
		if err := leaf(e); err != nil {
			return 0, err
		}
	}
	return next, nil
}

// walkBucket visits the records of one of our buckets, which hold values only.
func (w *walker) walkBucket(name, value []byte) error {
	if len(value) < bucketHeader {
		return damaged("bucket %q has no head", name)
	}
	leaf := func(e leafElement) error {
		if e.flags != 0 {
			return damaged("a bucket within bucket %q", name)
		}
		return w.visit(name, e.key, e.value)
	}
	if root := order.Uint64(value); root != 0 {
		if len(value) != bucketHeader {
			return damaged("bucket %q has two roots", name)
		}
		return w.walkPage(root, bounds{}, leaf)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != flagLeaf {
		return damaged("bucket %q has no page", name)
	}
	end, err := walkLeaf(inline, fmt.Sprintf("bucket %q", name), bounds{}, leaf)
	if err == nil && end != len(inline) {
		return damaged("bucket %q has %d bytes too many", name, len(inline)-end)
	}
	return err
}

package db

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"
)

// The journal says again what every transaction wrote, in order, and is durable before the transaction is. With a backup it gives back a database
// that was damaged; and a transaction that the database lost at the end (a head page that cannot be read) is done again.
//
// A file begins with the number of the transaction that it follows; its records are those after it, without gaps:
//
//	file:    "flexijnl" 8 bytes, version u32, base u64, chain u64 after base, CRC32C u32 of these 28 bytes
//	record:  size of the payload u32, CRC32C u32 of base and payload, payload
//	payload: transaction u64, chain u64 before it, then per value: bucket, key and value, each with its length as uvarint before it
//
// The chain is a hash of all that was ever written, kept in the database, too: a transaction is done again only behind the very one that it followed,
// not in a database that somebody has put in the place of another. Integers are big endian. A file ends where its last whole record ends: what follows
// was never acknowledged.

const (
	journalMagic   = "flexijnl"
	journalVersion = 2
	journalHeader  = len(journalMagic) + 4 + 8 + 8 + 4
	recordPrefix   = 4 + 4
	// journalLimit is the size after which a backup is made, so that a new file can begin.
	journalLimit = 64 << 20
	journalName  = "journal-%016x.log" // by base, so that names sort as numbers do
)

// put is one value of a transaction.
type put struct{ bucket, key, value []byte }

// position is a place in a history: a transaction, and the chain after it.
type position struct{ txid, chain uint64 }

// transaction is a record of a journal.
type transaction struct {
	after position // the one it follows
	end   position
	puts  []put
}

// journal is the file that is written now. Only the writer's goroutine uses it, once the store is open.
type journal struct {
	disk disk
	dir  string
	file diskFile
	base uint64
	last position // of the newest transaction in it
	size int64
}

func encodeHeader(base position) []byte {
	b := append([]byte(journalMagic), 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[len(journalMagic):], journalVersion)
	b = binary.BigEndian.AppendUint64(b, base.txid)
	b = binary.BigEndian.AppendUint64(b, base.chain)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeHeader(b []byte) (base position, err error) {
	n := journalHeader - 4
	if len(b) < journalHeader || string(b[:len(journalMagic)]) != journalMagic || binary.BigEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli) {
		return base, damaged("the head of a journal")
	}
	if v := binary.BigEndian.Uint32(b[len(journalMagic):]); v != journalVersion {
		return base, damaged("a journal has version %d, this flexi knows %d", v, journalVersion)
	}
	b = b[len(journalMagic)+4:]
	return position{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}

// recordSum ties a record to its file, so that one that was moved to another is damage.
func recordSum(base uint64, payload []byte) uint32 {
	return crc32.Update(crc32.Checksum(binary.BigEndian.AppendUint64(nil, base), castagnoli), castagnoli, payload)
}

// encodeTransaction is the record of what follows a position, and the position after it.
func encodeTransaction(base uint64, after position, puts []put) (b []byte, end position) {
	b = binary.BigEndian.AppendUint64(make([]byte, recordPrefix), after.txid+1)
	b = binary.BigEndian.AppendUint64(b, after.chain)
	for _, p := range puts {
		for _, part := range [][]byte{p.bucket, p.key, p.value} {
			b = binary.AppendUvarint(b, uint64(len(part)))
			b = append(b, part...)
		}
	}
	payload := b[recordPrefix:]
	binary.BigEndian.PutUint32(b, uint32(len(payload)))
	binary.BigEndian.PutUint32(b[4:], recordSum(base, payload))
	return b, position{after.txid + 1, chainOf(payload)}
}

// chainOf is the chain after a transaction; its payload begins with the chain before.
func chainOf(payload []byte) uint64 {
	sum := sha256.Sum256(payload)
	return binary.BigEndian.Uint64(sum[:])
}

func decodeTransaction(payload []byte) (t transaction, err error) {
	if len(payload) < 16 {
		return t, damaged("a transaction of the journal has no number")
	}
	id := binary.BigEndian.Uint64(payload)
	t.after, t.end = position{id - 1, binary.BigEndian.Uint64(payload[8:])}, position{id, chainOf(payload)}
	r := pointReader{b: payload[16:]}
	for len(r.b) > 0 && !r.bad {
		t.puts = append(t.puts, put{r.take(r.uvarint()), r.take(r.uvarint()), r.take(r.uvarint())})
	}
	if r.bad {
		return t, damaged("malformed transaction in the journal")
	}
	return t, nil
}

// journalFile is what a file on disk holds.
type journalFile struct {
	path       string
	base, last position
	size       int64 // of the head and the whole records
	torn       bool  // something follows them
}

// readJournal calls visit for each whole record of a file. A damaged head is an error; a damaged record ends the file.
func readJournal(path string, visit func(transaction) error) (journalFile, error) {
	f, err := os.Open(path)
	if err != nil {
		return journalFile{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return journalFile{}, err
	}
	head := make([]byte, journalHeader)
	if _, err := io.ReadFull(f, head); err != nil {
		return journalFile{}, damaged("%s is too short", path)
	}
	j := journalFile{path: path, size: int64(journalHeader)}
	if j.base, err = decodeHeader(head); err != nil {
		return j, fmt.Errorf("%s: %w", path, err)
	}
	j.last = j.base
	for {
		payload := nextRecord(f, j.base.txid, info.Size()-j.size)
		if payload == nil {
			break
		}
		t, err := decodeTransaction(payload)
		if err != nil || t.after != j.last {
			break
		}
		if err := visit(t); err != nil {
			return j, err
		}
		j.last, j.size = t.end, j.size+int64(recordPrefix+len(payload))
	}
	j.torn = j.size < info.Size()
	return j, nil
}

// nextRecord is the payload of the next whole record, nil if there is none in the rest of the file.
func nextRecord(r io.Reader, base uint64, rest int64) []byte {
	var prefix [recordPrefix]byte
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil
	}
	size := int64(binary.BigEndian.Uint32(prefix[:]))
	if size > rest-recordPrefix {
		return nil
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil || recordSum(base, payload) != binary.BigEndian.Uint32(prefix[4:]) {
		return nil
	}
	return payload
}

// journalFiles are the workspace's journals, oldest first.
func journalFiles(dir string) []string {
	files, err := filepath.Glob(filepath.Join(dir, journalsFolder, "journal-*.log"))
	if err != nil {
		return nil // only a malformed pattern
	}
	slices.Sort(files)
	return files
}

// justRead visits nothing.
func justRead(transaction) error { return nil }

// follow visits what the journals hold after a position, as far as they go on without a gap. It returns the last position, and whether that is the end
// of the newest file.
func follow(files []string, from position, visit func(transaction) error) (last position, complete bool, err error) {
	last = from
	for i, path := range files {
		if i+1 < len(files) && baseOf(files[i+1]) <= from.txid {
			continue // all of it is older
		}
		var visiting error
		j, err := readJournal(path, func(t transaction) error {
			if t.after != last {
				return nil
			}
			if visiting = visit(t); visiting == nil {
				last = t.end
			}
			return visiting
		})
		if visiting != nil {
			return last, false, visiting
		}
		complete = err == nil && !j.torn && j.last == last
	}
	return last, complete, nil
}

// baseOf is the base in a journal's name; a name that is none sorts last.
func baseOf(path string) uint64 {
	var base uint64
	if _, err := fmt.Sscanf(filepath.Base(path), journalName, &base); err != nil {
		return math.MaxUint64
	}
	return base
}

// rollForward does again in the database b, which stands at a position, what the journals hold after it.
func rollForward(files []string, from position, d disk, b *bbolt.DB) (last position, complete bool, err error) {
	return follow(files, from, func(t transaction) error {
		err := guard(func() error { return d.commit(b, func(tx *bbolt.Tx) error { return replay(tx, t) }) })
		if err != nil {
			return fmt.Errorf("do transaction %d again: %w", t.end.txid, err)
		}
		return nil
	})
}

func replay(tx *bbolt.Tx, t transaction) error {
	if uint64(tx.ID()) != t.end.txid {
		return damaged("the next transaction is %d, the journal has %d", tx.ID(), t.end.txid)
	}
	for _, p := range t.puts {
		b, err := tx.CreateBucketIfNotExists(p.bucket)
		if err != nil {
			return err
		}
		if len(p.key) == 0 {
			continue // the bucket itself
		}
		if err := b.Put(p.key, p.value); err != nil {
			return err
		}
	}
	return putChain(tx, t.end.chain)
}

// putChain keeps the chain with the transaction that made it.
func putChain(tx *bbolt.Tx, chain uint64) error {
	return tx.Bucket(metaBucket).Put(chainKey, seal(metaBucket, chainKey, binary.BigEndian.AppendUint64(nil, chain)))
}

// openJournal goes on with the newest journal if it ends where the database does; otherwise it begins a new one and reports that a backup is due, because
// the old ones lead nowhere.
func openJournal(d disk, dir string, last position) (j *journal, fresh bool, err error) {
	j = &journal{disk: d, dir: dir}
	if files := journalFiles(dir); len(files) > 0 {
		path := files[len(files)-1]
		found, err := readJournal(path, justRead)
		if err == nil && found.last == last {
			if j.file, err = d.open(path); err != nil {
				return nil, false, err
			}
			j.base, j.last, j.size = found.base.txid, last, found.size
			if found.torn {
				err = errors.Join(j.file.Truncate(j.size), j.file.Sync())
			}
			return j, false, err
		}
	}
	if err := setAside(d, dir, last.txid); err != nil {
		return nil, false, err
	}
	return j, true, j.begin(last)
}

// setAside renames journals that tell of another history than the database's, or of none.
func setAside(d disk, dir string, last uint64) error {
	for _, path := range journalFiles(dir) {
		if j, err := readJournal(path, justRead); err == nil && j.last.txid <= last && j.base.txid < last {
			continue
		}
		if err := d.rename(path, freeName(path+".bad")); err != nil {
			return err
		}
	}
	return nil
}

// begin makes the file of the transactions after base.
func (j *journal) begin(base position) error {
	folder := filepath.Join(j.dir, journalsFolder)
	f, err := j.disk.temp(folder)
	if err != nil {
		return fmt.Errorf("begin journal: %w", err)
	}
	head := encodeHeader(base)
	path := filepath.Join(folder, fmt.Sprintf(journalName, base.txid))
	if _, err = f.Write(head); err == nil {
		err = publish(j.disk, f, path, folder)
	}
	var next diskFile
	if err == nil {
		next, err = j.disk.open(path)
	}
	if err != nil {
		return fmt.Errorf("begin journal: %w", err)
	}
	if j.file != nil {
		err = j.file.Close()
	}
	j.file, j.base, j.last, j.size = next, base.txid, base, int64(len(head))
	return err
}

// append makes the next transaction durable here, before it is in the database, and returns the chain after it.
func (j *journal) append(puts []put) (chain uint64, err error) {
	b, end := encodeTransaction(j.base, j.last, puts)
	if _, err := j.file.Write(b); err != nil {
		return 0, fmt.Errorf("write journal: %w", err)
	}
	if err := j.file.Sync(); err != nil {
		return 0, fmt.Errorf("sync journal: %w", err)
	}
	j.last, j.size = end, j.size+int64(len(b))
	return end.chain, nil
}

// takeBack removes a transaction that the database did not take, as far as the disk allows.
func (j *journal) takeBack(last position, size int64) {
	if j.file.Truncate(size) == nil {
		_ = j.file.Sync()
		j.last, j.size = last, size
	}
}

func (j *journal) close() error { return j.file.Close() }

// forgetJournals removes journals that no backup from transaction oldest on needs.
func forgetJournals(d disk, dir string, oldest uint64) error {
	files := journalFiles(dir)
	for i := 0; i+1 < len(files) && baseOf(files[i+1]) <= oldest; i++ {
		if err := d.remove(files[i]); err != nil {
			return err
		}
	}
	return nil
}

package db

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"

	"flexi/core/run"
)

// A value is one version byte, the CRC32C of bucket, key and payload (big endian), and the payload. The checksum covers bucket and key,
// so that a value found under a key that is not its own is damage, too. bbolt itself checks only its two meta pages.

const (
	recordVersion = 1
	recordHeader  = 1 + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(bucket, key, payload []byte) uint32 {
	var n [8]byte
	binary.BigEndian.PutUint32(n[:4], uint32(len(bucket)))
	binary.BigEndian.PutUint32(n[4:], uint32(len(key)))
	sum := crc32.Update(0, castagnoli, n[:])
	sum = crc32.Update(sum, castagnoli, bucket)
	sum = crc32.Update(sum, castagnoli, key)
	return crc32.Update(sum, castagnoli, payload)
}

// seal makes a value of a payload.
func seal(bucket, key, payload []byte) []byte {
	value := make([]byte, 0, recordHeader+len(payload))
	value = append(value, recordVersion)
	value = binary.BigEndian.AppendUint32(value, checksum(bucket, key, payload))
	return append(value, payload...)
}

// unseal returns the payload of a value, or damage that names the key. The payload lives as long as the value.
func unseal(bucket, key, value []byte) ([]byte, error) {
	if len(value) < recordHeader {
		return nil, damaged("%s has %d bytes, too few", keyName(bucket, key), len(value))
	}
	if value[0] != recordVersion {
		return nil, damaged("%s has version %d, this flexi knows %d", keyName(bucket, key), value[0], recordVersion)
	}
	payload := value[recordHeader:]
	if binary.BigEndian.Uint32(value[1:]) != checksum(bucket, key, payload) {
		return nil, damaged("%s does not match its checksum", keyName(bucket, key))
	}
	return payload, nil
}

// sealJSON makes a value of anything but curves and policy states.
func sealJSON(bucket, key []byte, v any) ([]byte, error) {
	payload, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", keyName(bucket, key), err)
	}
	return seal(bucket, key, payload), nil
}

func unsealJSON(bucket, key, value []byte, v any) error {
	payload, err := unseal(bucket, key, value)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(payload, v); err != nil {
		return damaged("decode %s: %v", keyName(bucket, key), err)
	}
	return nil
}

// encodePoints packs points: the number of series and their names (length, bytes), then per point the series' index, the step (signed)
// and the value's bits (little endian); integers are varints. Values keep their bits, NaN and infinities included.
func encodePoints(points []run.Point) []byte {
	index := map[string]int{}
	var names []string
	for _, p := range points {
		if _, ok := index[p.Series]; !ok {
			index[p.Series] = len(names)
			names = append(names, p.Series)
		}
	}
	b := binary.AppendUvarint(nil, uint64(len(names)))
	for _, name := range names {
		b = binary.AppendUvarint(b, uint64(len(name)))
		b = append(b, name...)
	}
	for _, p := range points {
		b = binary.AppendUvarint(b, uint64(index[p.Series]))
		b = binary.AppendVarint(b, int64(p.Step))
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(p.Value))
	}
	return b
}

func decodePoints(b []byte) ([]run.Point, error) {
	r := pointReader{b: b}
	names := make([]string, 0, 4)
	for n := r.uvarint(); n > 0 && !r.bad; n-- {
		names = append(names, string(r.take(r.uvarint())))
	}
	var points []run.Point
	for len(r.b) > 0 && !r.bad {
		series, step, bits := r.uvarint(), r.varint(), r.take(8)
		if r.bad || series >= uint64(len(names)) {
			r.bad = true
			break
		}
		points = append(points, run.Point{Series: names[series], Step: int(step), Value: math.Float64frombits(binary.LittleEndian.Uint64(bits))})
	}
	if r.bad {
		return nil, damaged("malformed points")
	}
	return points, nil
}

// pointReader reads fields until one is malformed.
type pointReader struct {
	b   []byte
	bad bool
}

func (r *pointReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	r.skip(n)
	return v
}

func (r *pointReader) varint() int64 {
	v, n := binary.Varint(r.b)
	r.skip(n)
	return v
}

func (r *pointReader) skip(n int) {
	if n <= 0 {
		r.bad, n = true, 0
	}
	r.b = r.b[n:]
}

func (r *pointReader) take(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	taken := r.b[:n]
	r.b = r.b[n:]
	return taken
}

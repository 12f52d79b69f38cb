package search

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"flexi/core/device/cache"
)

// embeddingVersion changes whenever the same options give another embedding.
const embeddingVersion = 1

// cacheLeast is the size from which an embedding takes long enough to be kept.
const cacheLeast = 2000

// embedding embeds the library, or takes the embedding of an earlier run on the same machine: it depends on nothing but what the key holds.
func (o LibraryOptions) embedding(ctx context.Context, d *Distances, hashes []string, prices *Prices) (*Embedding, error) {
	n := d.Len()
	kept := n >= cacheLeast
	key := sha256.Sum256(fmt.Append(nil, embeddingVersion, EmbedDim, o.EdgeWeight, o.Seed, o.Paper, strings.Join(prices.labels, "\n"), strings.Join(hashes, "\n")))
	name := "embedding-" + hex.EncodeToString(key[:8])
	if kept {
		if content, ok := cache.Read(name, key); ok {
			if e, ok := decodeEmbedding(content, n); ok {
				return e, nil
			}
		}
	}
	e, err := Embed(ctx, d, EmbedOptions{Seed: o.Seed, Threads: o.Threads, Paper: o.Paper, Progress: o.Progress})
	if err == nil && kept {
		cache.Write(name, key, e.encode())
	}
	return e, err
}

// An embedding in the cache, little-endian: stress and correlation as float64, sweeps as uint64, then every coordinate as float64.

func (e *Embedding) encode() []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, []float64{e.Fit.Stress, e.Fit.Correlation})
	_ = binary.Write(&b, binary.LittleEndian, uint64(e.Fit.Sweeps))
	for _, v := range e.Vectors {
		_ = binary.Write(&b, binary.LittleEndian, v)
	}
	return b.Bytes()
}

func decodeEmbedding(content []byte, n int) (*Embedding, bool) {
	if len(content) != 8*(3+n*EmbedDim) {
		return nil, false
	}
	r := bytes.NewReader(content)
	var fit [2]float64
	var sweeps uint64
	_ = binary.Read(r, binary.LittleEndian, &fit)
	_ = binary.Read(r, binary.LittleEndian, &sweeps)
	e := &Embedding{Vectors: make([][]float64, n), Fit: Fit{Stress: fit[0], Correlation: fit[1], Sweeps: int(sweeps)}}
	for i := range e.Vectors {
		e.Vectors[i] = make([]float64, EmbedDim)
		_ = binary.Read(r, binary.LittleEndian, e.Vectors[i])
	}
	return e, true
}

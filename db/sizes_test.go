//go:build !slow

package db

// Sizes of the short form of the tests.
const (
	damages = 100
)

//go:build slow

package db

const (
	damages = 1000
)

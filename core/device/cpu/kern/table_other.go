//go:build !amd64

package kern

func newTable(Level) *Table { return genericTable() }

//go:build !unix

package db

// syncDir does nothing: this system has no sync of folders and orders renames itself.
func syncDir(string) error { return nil }

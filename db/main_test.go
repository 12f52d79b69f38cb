package db

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerDirEnv); dir != "" {
		writeUntilKilled(dir)
	}
	if dir := os.Getenv(searcherDirEnv); dir != "" {
		searchUntilKilled(dir)
	}
	goleak.VerifyTestMain(m)
}

package db

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	lockPatience = time.Second
	lockRetry    = 20 * time.Millisecond
)

// pidFile is locked by the process that has the workspace open, and says which one that is. It is never removed: a lock on a removed file
// would be seen by nobody.
const pidFile = "server.pid"

// lockWorkspace takes the workspace for this process, or says who has it.
func lockWorkspace(dir string, now time.Time) (*os.File, error) {
	path := filepath.Join(dir, pidFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock workspace: %w", err)
	}
	for waited := time.Duration(0); ; waited += lockRetry {
		ok, err := tryLock(f)
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if ok {
			break
		}
		if waited >= lockPatience {
			f.Close()
			return nil, held(path)
		}
		time.Sleep(lockRetry)
	}
	// The text is only for people, the lock decides: a full disk must not keep the owner out.
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(fmt.Sprintf("%d since %s\n", os.Getpid(), now.Format(time.RFC3339))), 0)
	}
	return f, nil
}

func held(path string) error {
	who := "another process"
	if text, err := os.ReadFile(path); err == nil && len(text) > 0 {
		who = "process " + strings.TrimSpace(string(text))
	}
	return fmt.Errorf("%w by %s; attach to it with `flexi`, or end that process, or name another workspace with --workspace", ErrHeld, who)
}

// unlock gives the workspace back.
func unlock(f *os.File) error {
	_ = f.Truncate(0)
	return f.Close()
}

package remote

import (
	"fmt"
	"os"
	"path/filepath"
)

// Files of a server in its workspace.
const (
	socketFile = "server.sock"
	keyFile    = "host_key"
	// KeysFile is where the keys of people are looked up unless another file is named.
	KeysFile = "authorized_keys"
	// LogFile is what the server writes to.
	LogFile = "server.log"
)

// maxSocketPath is what a unix socket's address holds on every system, its terminating zero counted.
const maxSocketPath = 104

// socket is the path of a workspace's socket. A path that is too long for an address is reached through an open folder, where the system allows that;
// release frees what the path needs.
func socket(workspace string) (path string, release func(), err error) {
	path = filepath.Join(workspace, socketFile)
	if len(path) < maxSocketPath {
		return path, func() {}, nil
	}
	folder, err := os.Open(workspace)
	if err != nil {
		return "", nil, err
	}
	path = fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), socketFile)
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		folder.Close()
		return "", nil, fmt.Errorf("the path of %s is too long for a socket; use a workspace with a shorter path", workspace)
	}
	return path, func() { folder.Close() }, nil
}

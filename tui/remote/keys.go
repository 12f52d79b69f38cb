package remote

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Role is what a person may do.
type Role string

// Roles.
const (
	Operator Role = "operator" // looks and commands
	Viewer   Role = "viewer"   // looks
)

// Person is who is at the other end.
type Person struct {
	Name        string // from the key's comment, or the user of this machine
	Role        Role
	Fingerprint string // SHA256:..., "" for the owner on the socket
}

// actor is the person as the history of runs names them.
func (p Person) actor() string {
	const shown = len("SHA256:") + 8
	if len(p.Fingerprint) < shown {
		return p.Name
	}
	return p.Name + " (" + p.Fingerprint[:shown] + ")"
}

// maxKeysFile bounds the authorized_keys file, which is read at every login.
const maxKeysFile = 1 << 20

// authorized are the people of an authorized_keys file by key. The file's lines are `operator ssh-ed25519 AAAA... name` or `viewer ...`; a file that others
// may write to is refused as a whole, a line that says anything else is left out, with a warning that names it.
func authorized(path string) (people map[string]Person, warnings []string, err error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	} else if err != nil {
		return nil, nil, fmt.Errorf("read authorized keys: %w", err)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return nil, nil, fmt.Errorf("read authorized keys: others may write to %s; run chmod go-w on it", path)
	}
	if info.Size() > maxKeysFile {
		return nil, nil, fmt.Errorf("read authorized keys: %s has %d bytes, more than %d", path, info.Size(), maxKeysFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read authorized keys: %w", err)
	}
	people = map[string]Person{}
	for i, line := range bytes.Split(text, []byte("\n")) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		key, person, err := parseKeyLine(line)
		if err != nil {
			warnings = append(warnings, fmt.Sprintf("%s line %d is left out: %v", path, i+1, err))
			continue
		}
		people[key] = person
	}
	return people, warnings, nil
}

// CountKeys is how many keys a file lets in.
func CountKeys(path string) (int, error) {
	people, _, err := authorized(path)
	return len(people), err
}

func parseKeyLine(line []byte) (string, Person, error) {
	key, comment, options, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return "", Person{}, errors.New("it is no role and public key")
	}
	if len(options) != 1 || options[0] != string(Operator) && options[0] != string(Viewer) {
		return "", Person{}, fmt.Errorf("before the key must stand operator or viewer, and nothing else; it says %q", strings.Join(options, ","))
	}
	if _, certificate := key.(*ssh.Certificate); certificate {
		return "", Person{}, errors.New("certificates are not supported; name the key itself")
	}
	p := Person{Name: printable(comment), Role: Role(options[0]), Fingerprint: ssh.FingerprintSHA256(key)}
	if p.Name == "" {
		p.Name = string(p.Role)
	}
	return string(key.Marshal()), p, nil
}

const maxName = 32

// printable makes text from outside fit for a header and a log: printable ASCII without spaces, and short.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return -1
	}, s)
	return s[:min(len(s), maxName)]
}

// hostKey reads the server's key, and makes it at the first start.
func hostKey(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = newHostKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("host key: others may read %s; run chmod 600 on it, or remove it for a new one", path)
	}
	signer, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, fmt.Errorf("host key %s: %w; remove it for a new one", path, err)
	}
	return signer, nil
}

// newHostKey writes the file whole or not at all.
func newHostKey(path string) ([]byte, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(key, "flexi")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	f, err := os.CreateTemp(filepath.Dir(path), ".host-key-*") // mode 0600
	if err != nil {
		return nil, err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return text, err
}

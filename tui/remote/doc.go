// Package remote lets people reach a workspace from elsewhere: a server that speaks SSH on TCP and on a unix socket in the workspace, and the client
// that the local commands use on that socket.
//
// A session with a terminal is the workbench; one with a command line runs a command of flexi (never a shell); one with neither is the plain mode. Who
// comes over TCP proves to own a key of the authorized_keys file, which says `operator` or `viewer`; who can open the socket is the workspace's owner.
// Forwarding, sftp, agents and X11 are refused. A viewer that is slow, dead or hostile costs its own session and nothing else: training never waits for a
// connection.
package remote

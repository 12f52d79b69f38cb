// Command flexi searches transformer architectures and shows the search in the terminal.
package main

import (
	"os"

	"flexi/cli"
)

func main() {
	os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

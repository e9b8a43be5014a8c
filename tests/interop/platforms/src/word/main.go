// word says where it runs, and what it was asked.
package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
)

var version = "unset"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "--version" {
		fmt.Println("word", version, runtime.GOARCH)
		return
	}
	fmt.Printf("%x\n", sha256.Sum256([]byte(os.Args[1])))
}

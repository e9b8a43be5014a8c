// Command wharfie-reader does to a folder of archives what RKE2 does at start: it looks for the runtime image with
// wharfie's FindImage and unpacks /bin and /charts with ExtractDirs, the two calls of RKE2's bootstrap.
//
//	wharfie-reader IMAGES_DIR REFERENCE BIN_DIR CHARTS_DIR
//
// It prints the digest of the image's config. Exit 1: an error that RKE2 would report. It verifies nothing by itself.
package main

import (
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/rancher/wharfie/pkg/extract"
	"github.com/rancher/wharfie/pkg/tarfile"
)

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: wharfie-reader IMAGES_DIR REFERENCE BIN_DIR CHARTS_DIR")
		os.Exit(2)
	}
	if err := read(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		fmt.Fprintln(os.Stderr, "wharfie-reader:", err)
		os.Exit(1)
	}
}

func read(images, reference, bin, charts string) error {
	tag, err := name.NewTag(reference)
	if err != nil {
		return err
	}
	image, err := tarfile.FindImage(images, tag)
	if err != nil {
		return err
	}
	if err := extract.ExtractDirs(image, map[string]string{"/bin": bin, "/charts": charts}); err != nil {
		return err
	}
	// The config is the one document whose digest the reader keeps: it makes a manifest of its own.
	digest, err := image.ConfigName()
	if err != nil {
		return err
	}
	fmt.Println(digest)
	return nil
}

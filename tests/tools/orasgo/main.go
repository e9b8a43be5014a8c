// Copies HOST/REPOSITORY:TAG into a folder with the library that the oras CLI is made of, as its `pull` does.
package main

import (
	"context"
	"fmt"
	"os"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	oras "oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/content/file"
	"oras.land/oras-go/v2/registry/remote"
)

func main() {
	if err := pull(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pull(reference, folder string) error {
	source, err := remote.NewRepository(reference)
	if err != nil {
		return err
	}
	source.PlainHTTP = true
	target, err := file.New(folder)
	if err != nil {
		return err
	}
	defer target.Close()
	tag := source.Reference.Reference
	options := oras.DefaultCopyOptions
	options.FindSuccessors = named
	found, err := oras.Copy(context.Background(), source, tag, target, tag, options)
	if err != nil {
		return err
	}
	fmt.Println(found.Digest)
	return nil
}

// named leaves out what has no file name and leads to nothing: layers and configs of images, as `oras pull` does.
func named(ctx context.Context, fetcher content.Fetcher, node ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	all, err := content.Successors(ctx, fetcher, node)
	if err != nil {
		return nil, err
	}
	var kept []ocispec.Descriptor
	for _, one := range all {
		below, err := content.Successors(ctx, fetcher, one)
		if err != nil {
			return nil, err
		}
		if one.Annotations[ocispec.AnnotationTitle] != "" || len(below) > 0 {
			kept = append(kept, one)
		}
	}
	return kept, nil
}

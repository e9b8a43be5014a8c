// Copies HOST/REPOSITORY:TAG into a folder with the library that the oras CLI is made of, as its `pull` does; without
// a folder it lists what refers to it, as its `discover` does.
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
	work := discover
	if len(os.Args) > 2 {
		work = func(reference string) error { return pull(reference, os.Args[2]) }
	}
	if err := work(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func discover(reference string) error {
	source, err := remote.NewRepository(reference)
	if err != nil {
		return err
	}
	source.PlainHTTP = true
	subject, err := source.Resolve(context.Background(), source.Reference.Reference)
	if err != nil {
		return err
	}
	return source.Referrers(context.Background(), subject, "", func(found []ocispec.Descriptor) error {
		for _, one := range found {
			fmt.Println(one.ArtifactType, one.Digest)
		}
		return nil
	})
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

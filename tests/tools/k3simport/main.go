// Command k3simport does to a running containerd what an RKE2 node does with the archives of its agent/images before its
// kubelet starts: each file is opened as wharfie opens it and imported through containerd's client with all platforms and
// with leave to lack blobs; its images are pinned, get their name with the digest, and their content says where it is from.
//
//	k3simport SOCKET IMAGES_DIR
//
// It prints the images of each file. Exit 1: a file that RKE2 would log as failed.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/pkg/namespaces"
	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/rancher/wharfie/pkg/tarfile"
)

var pins = map[string]string{"io.cattle.rke2.pinned": "pinned", "io.cri-containerd.pinned": "pinned"}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: k3simport SOCKET IMAGES_DIR")
		os.Exit(2)
	}
	client, err := containerd.New(os.Args[1])
	failed := err != nil
	if err == nil {
		defer client.Close()
		failed = importAll(namespaces.WithNamespace(context.Background(), "k8s.io"), client, os.Args[2])
	} else {
		fmt.Fprintln(os.Stderr, "k3simport:", err)
	}
	if failed {
		os.Exit(1)
	}
}

// importAll takes the files in the order of their names, as RKE2's watcher queues them, and goes on after a bad one.
func importAll(ctx context.Context, client *containerd.Client, folder string) (failed bool) {
	files, _ := filepath.Glob(filepath.Join(folder, "*.tar*"))
	sort.Strings(files)
	for _, file := range files {
		if err := importFile(ctx, client, file); err != nil {
			fmt.Fprintf(os.Stderr, "k3simport: %s: %v\n", file, err)
			failed = true
		}
	}
	return failed || len(files) == 0
}

func importFile(ctx context.Context, client *containerd.Client, file string) error {
	opener, err := tarfile.GetOpener(file)
	if err != nil {
		return err
	}
	stream, err := opener()
	if err != nil {
		return err
	}
	defer stream.Close()
	found, err := client.Import(ctx, stream, containerd.WithAllPlatforms(true), containerd.WithSkipMissing())
	if err != nil {
		return err
	}
	for _, image := range found {
		image.Labels = pins
		if _, err := client.ImageService().Update(ctx, image, "labels"); err != nil {
			return err
		}
		if err := nameByDigest(ctx, client, image); err != nil {
			return err
		}
		if err := nameSource(ctx, client.ContentStore(), image); err != nil {
			return err
		}
		fmt.Println(filepath.Base(file), image.Name, image.Target.Digest)
	}
	return nil
}

// nameByDigest gives an image the name NAME@DIGEST, whoever had it; a name without a tag fails the whole file.
func nameByDigest(ctx context.Context, client *containerd.Client, image images.Image) error {
	named, err := reference.ParseNormalizedNamed(image.Name)
	if err != nil {
		return err
	}
	tagged, ok := named.(reference.NamedTagged)
	if !ok {
		return fmt.Errorf("%s has no tag", image.Name)
	}
	image.Name = tagged.Name() + "@" + image.Target.Digest.String()
	if _, err := client.ImageService().Create(ctx, image); errdefs.IsAlreadyExists(err) {
		if err := client.ImageService().Delete(ctx, image.Name); err != nil {
			return err
		}
		_, err = client.ImageService().Create(ctx, image)
		return err
	} else {
		return err
	}
}

// nameSource labels each blob with the repository it would be pulled from.
func nameSource(ctx context.Context, store content.Store, image images.Image) error {
	named, err := reference.ParseNormalizedNamed(image.Name)
	if err != nil {
		return err
	}
	key := "containerd.io/distribution.source." + reference.Domain(named)
	label := func(ctx context.Context, one ocispec.Descriptor) ([]ocispec.Descriptor, error) {
		info := content.Info{Digest: one.Digest, Labels: map[string]string{key: reference.Path(named)}}
		if _, err := store.Update(ctx, info, "labels."+key); err != nil {
			return nil, err
		}
		children, err := images.Children(ctx, store, one)
		if err != nil && strings.Contains(err.Error(), "not found") {
			return nil, nil
		}
		return children, err
	}
	return images.Walk(ctx, images.HandlerFunc(label), image.Target)
}

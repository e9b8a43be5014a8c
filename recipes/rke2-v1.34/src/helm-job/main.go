// Command entry is what the pods of helm-controller's jobs run: it installs, upgrades or deletes one Helm release.
//
// The controller says what to do by arguments (install or delete, then flags for helm), by environment variables and
// by files. This program looks at the release as it is, decides, and leaves the work to helm.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"
)

// version is set when the program is linked.
var version = "unknown"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "entry:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("want install or delete, and flags for helm")
	}
	if arguments[0] == "--version" {
		fmt.Println("entry", version)
		return nil
	}
	context, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	asked, err := readRequest(arguments, os.Getenv)
	if err != nil {
		return err
	}
	kube, err := inCluster(os.Getenv, "/var/run/secrets/kubernetes.io/serviceaccount")
	if err != nil {
		return err
	}
	found, err := kube.release(context, asked)
	if err != nil {
		return err
	}
	decided := decide(asked, found)
	fmt.Printf("entry: %s %s in %s: revision %d, status %q, expected revision %d: %s\n",
		asked.action, asked.name, asked.namespace, found.revision, found.status, asked.expected, decided.why)
	if decided.refused {
		return fmt.Errorf("not acting: %s", decided.why)
	}
	if asked.serverSide == "true" {
		fmt.Println("entry: server-side apply is not known to this helm: objects are patched as ever")
	}
	for _, step := range decided.steps {
		if err := act(context, step, asked, found, kube); err != nil {
			return err
		}
	}
	return nil
}

func act(context context.Context, step step, asked request, found release, kube *client) error {
	switch step {
	case dropRevision:
		return kube.drop(context, asked, found)
	case uninstall:
		return helm(context, uninstallArguments(asked))
	default:
		places, err := prepare("/chart", "/config", "/auth", "/ca-files", os.TempDir(), asked)
		if err != nil {
			return err
		}
		return helm(context, upgradeArguments(asked, places))
	}
}

// helm runs it to its end; when we are asked to stop, it is asked first and has the time to note that it failed.
func helm(context context.Context, arguments []string) error {
	command := exec.CommandContext(context, "helm", arguments...)
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 20 * time.Second
	fmt.Println("entry: helm", shown(arguments))
	if err := command.Run(); err != nil {
		return fmt.Errorf("helm %s: %w", arguments[0], err)
	}
	return nil
}

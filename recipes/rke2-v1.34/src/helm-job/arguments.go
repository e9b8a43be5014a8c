package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// hashLabel is how the controller knows the release that it asked for.
const hashLabel = "helmcharts.helm.cattle.io/configHash"

// Places are the files that helm is given.
type places struct {
	chart              string   // the chart's archive; empty: the request's own words
	values             []string // in order: later ones win
	username, password string
	authorities        string // certificates of a repository
}

// prepare finds what the controller mounted, and unpacks what helm cannot read as it is.
func prepare(chart, config, auth, authorities, scratch string, asked request) (places, error) {
	found := places{username: content(auth, "username"), password: content(auth, "password")}
	var err error
	if found.values, err = filepath.Glob(filepath.Join(config, "values-*.yaml")); err != nil { // sorted by Glob
		return found, err
	}
	if found.chart, err = decode(filepath.Join(chart, asked.name+".tgz.base64"), scratch, asked.name); err != nil {
		return found, err
	}
	found.authorities, err = collect(scratch, filepath.Join(config, "ca-file.pem"), filepath.Join(authorities, "*"))
	return found, err
}

func upgradeArguments(asked request, found places) []string {
	arguments := []string{"upgrade", "--install", asked.name, chartOf(asked, found), "--namespace", asked.namespace}
	for _, path := range found.values {
		arguments = append(arguments, "--values", path)
	}
	if asked.hash != "" {
		arguments = append(arguments, "--labels", hashLabel+"="+asked.hash)
	}
	if asked.timeout != "" {
		arguments = append(arguments, "--timeout", asked.timeout)
	}
	if found.chart == "" {
		arguments = append(arguments, remoteArguments(asked, found)...)
	}
	return append(arguments, asked.flags...)
}

func uninstallArguments(asked request) []string {
	arguments := []string{"uninstall", asked.name, "--namespace", asked.namespace, "--ignore-not-found", "--wait"}
	if asked.timeout != "" {
		arguments = append(arguments, "--timeout", asked.timeout)
	}
	return arguments
}

// chartOf is the archive, or what names a chart elsewhere: with a repository the controller writes NAME/CHART.
func chartOf(asked request, found places) string {
	if found.chart != "" {
		return found.chart
	}
	if asked.repo != "" {
		return strings.TrimPrefix(asked.chart, asked.name+"/")
	}
	return asked.chart
}

func remoteArguments(asked request, found places) []string {
	var arguments []string
	flag := func(wanted bool, words ...string) {
		if wanted {
			arguments = append(arguments, words...)
		}
	}
	flag(asked.repo != "", "--repo", asked.repo)
	flag(found.username != "", "--username", found.username)
	flag(found.password != "", "--password", found.password)
	flag(found.authorities != "", "--ca-file", found.authorities)
	flag(asked.passCredentials, "--pass-credentials")
	flag(asked.skipVerify, "--insecure-skip-tls-verify")
	flag(asked.plainHTTP, "--plain-http")
	return arguments
}

// shown is a command line for the log: without passwords, and without values that may be secrets.
func shown(arguments []string) string {
	words := make([]string, len(arguments))
	copy(words, arguments)
	for number := 1; number < len(words); number++ {
		switch words[number-1] {
		case "--password":
			words[number] = "***"
		case "--set", "--set-string":
			key, _, _ := strings.Cut(words[number], "=")
			words[number] = key + "=..."
		}
	}
	return strings.Join(words, " ")
}

// decode writes a mounted chart archive, which is base64, to a file; empty when there is none.
func decode(path, scratch, name string) (string, error) {
	source, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer source.Close()
	target, err := os.Create(filepath.Join(scratch, name+".tgz"))
	if err != nil {
		return "", err
	}
	size, err := io.Copy(target, base64.NewDecoder(base64.StdEncoding, source))
	if err = errors.Join(err, target.Close()); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	if size == 0 {
		return "", nil // the controller mounts an empty one for charts from elsewhere
	}
	return target.Name(), nil
}

// collect joins certificate files into one; empty when there are none.
func collect(scratch string, patterns ...string) (string, error) {
	var all []byte
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				return "", err
			}
			all = append(append(all, data...), '\n')
		}
	}
	if len(all) == 0 {
		return "", nil
	}
	target := filepath.Join(scratch, "authorities.pem")
	return target, os.WriteFile(target, all, 0o600)
}

func content(folder, name string) string {
	data, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		return "" // nothing is mounted: no credentials
	}
	return string(data)
}

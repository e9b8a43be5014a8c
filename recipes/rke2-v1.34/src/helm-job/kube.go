package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	tries    = 30 // of a request that the apiserver did not answer: it may just be starting
	interval = 2 * time.Second
	maxReply = 64 << 20
)

// A client asks the apiserver for the objects in which helm keeps releases.
type client struct {
	base     string
	token    string
	http     *http.Client
	interval time.Duration
}

// inCluster reads what every pod is given (Kubernetes, "Accessing the Kubernetes API from a Pod").
func inCluster(environment func(string) string, folder string) (*client, error) {
	host, port := environment("KUBERNETES_SERVICE_HOST"), environment("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, fmt.Errorf("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be set")
	}
	token, err := os.ReadFile(filepath.Join(folder, "token"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(folder, "ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("no certificate in %s", filepath.Join(folder, "ca.crt"))
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	return &client{
		base:     "https://" + net.JoinHostPort(host, port),
		token:    strings.TrimSpace(string(token)),
		http:     &http.Client{Transport: transport, Timeout: 30 * time.Second},
		interval: interval,
	}, nil
}

// release finds the latest revision: helm labels each with owner, name, version and status.
func (kube *client) release(context context.Context, asked request) (release, error) {
	var list struct {
		Items []struct {
			Metadata struct {
				Name   string            `json:"name"`
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
		} `json:"items"`
	}
	selector := url.Values{"labelSelector": {"owner=helm,name=" + asked.name}}
	data, err := kube.ask(context, http.MethodGet, path(asked)+"?"+selector.Encode())
	if err != nil {
		return release{}, err
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return release{}, fmt.Errorf("unexpected answer of the apiserver: %w", err)
	}
	var latest release
	for _, item := range list.Items {
		labels := item.Metadata.Labels
		revision, err := strconv.ParseInt(labels["version"], 10, 64)
		if err == nil && revision > latest.revision {
			latest = release{revision: revision, status: labels["status"], hash: labels[hashLabel], object: item.Metadata.Name}
		}
	}
	return latest, nil
}

// drop removes the record of one revision.
func (kube *client) drop(context context.Context, asked request, found release) error {
	fmt.Printf("entry: forgetting revision %d (%s)\n", found.revision, found.status)
	_, err := kube.ask(context, http.MethodDelete, path(asked)+"/"+url.PathEscape(found.object))
	return err
}

func path(asked request) string {
	kind := "secrets"
	if strings.HasPrefix(asked.driver, "configmap") {
		kind = "configmaps"
	}
	return "/api/v1/namespaces/" + url.PathEscape(asked.namespace) + "/" + kind
}

// ask repeats what was not answered; an answer that says no is an error at once.
func (kube *client) ask(context context.Context, method, path string) ([]byte, error) {
	var failure error
	for try := 0; try < tries; try++ {
		data, status, err := kube.once(context, method, path)
		switch {
		case err == nil && status < 300, err == nil && status == http.StatusNotFound && method == http.MethodDelete:
			return data, nil
		case err == nil && status < 500 && status != http.StatusTooManyRequests:
			return nil, fmt.Errorf("%s %s: %d %s", method, path, status, strings.TrimSpace(string(data)))
		case err == nil:
			err = fmt.Errorf("%s %s: %d", method, path, status)
		case errors.As(err, new(*tls.CertificateVerificationError)):
			return nil, err // it will not become another's
		}
		failure = err
		select {
		case <-context.Done():
			return nil, context.Err()
		case <-time.After(kube.interval):
		}
	}
	return nil, fmt.Errorf("the apiserver does not answer: %w", failure)
}

func (kube *client) once(context context.Context, method, path string) ([]byte, int, error) {
	asked, err := http.NewRequestWithContext(context, method, kube.base+path, nil)
	if err != nil {
		return nil, 0, err
	}
	asked.Header.Set("Authorization", "Bearer "+kube.token)
	if method == http.MethodGet { // of the list the metadata alone: releases are large
		asked.Header.Set("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json")
	}
	answer, err := kube.http.Do(asked)
	if err != nil {
		return nil, 0, err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxReply))
	return data, answer.StatusCode, err
}

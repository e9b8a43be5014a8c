package main

import (
	"fmt"
	"strconv"
)

// A request is what the controller wants done.
type request struct {
	action    string   // install or delete
	flags     []string // for helm, as the controller wrote them
	name      string
	namespace string // where the release goes
	chart     string // a path, an address, or NAME/CHART of a repository
	repo      string
	driver    string // where helm keeps releases: secret or configmap
	policy    string // reinstall, abort or retry
	timeout   string // as Go writes durations; empty: helm's own
	hash      string // of the configuration; the release gets it as a label
	expected  int64  // the latest revision when the controller made the job; 0: none

	passCredentials, skipVerify, plainHTTP bool
	serverSide                             string
}

func readRequest(arguments []string, environment func(string) string) (request, error) {
	asked := request{
		action:     arguments[0],
		flags:      arguments[1:],
		name:       environment("NAME"),
		namespace:  or(environment("TARGET_NAMESPACE"), environment("CHART_NAMESPACE")),
		chart:      environment("CHART"),
		repo:       environment("REPO"),
		driver:     or(environment("HELM_DRIVER"), "secret"),
		policy:     or(environment("FAILURE_POLICY"), "reinstall"),
		timeout:    environment("TIMEOUT"),
		hash:       environment("CONFIG_HASH"),
		serverSide: environment("SERVER_SIDE"),

		passCredentials: environment("AUTH_PASS_CREDENTIALS") == "true",
		skipVerify:      environment("INSECURE_SKIP_TLS_VERIFY") == "true",
		plainHTTP:       environment("PLAIN_HTTP") == "true",
	}
	if asked.action != "install" && asked.action != "delete" {
		return asked, fmt.Errorf("unknown action %q, want install or delete", asked.action)
	}
	if asked.name == "" || asked.namespace == "" {
		return asked, fmt.Errorf("NAME and TARGET_NAMESPACE or CHART_NAMESPACE must be set")
	}
	switch asked.policy {
	case "reinstall", "abort", "retry":
	default:
		return asked, fmt.Errorf("unknown FAILURE_POLICY %q, want reinstall, abort or retry", asked.policy)
	}
	if asked.driver != "secret" && asked.driver != "secrets" && asked.driver != "configmap" && asked.driver != "configmaps" {
		return asked, fmt.Errorf("unknown HELM_DRIVER %q, want secret or configmap", asked.driver)
	}
	if text := environment("EXPECTED_RELEASE_REVISION"); text != "" {
		revision, err := strconv.ParseInt(text, 10, 64)
		if err != nil || revision < 0 {
			return asked, fmt.Errorf("EXPECTED_RELEASE_REVISION: want a number, got %q", text)
		}
		asked.expected = revision
	}
	return asked, nil
}

func or(first, second string) string {
	if first != "" {
		return first
	}
	return second
}

package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestMountedFilesBecomeArgumentsInOrder(t *testing.T) {
	top, scratch := t.TempDir(), t.TempDir()
	at := func(name string) string { return filepath.Join(top, name) }
	write(t, at("chart/dns.tgz.base64"), base64.StdEncoding.EncodeToString([]byte("archive")))
	for _, name := range []string{"values-1-000-config.yaml", "values-0-000-set.yaml", "values-0-001-content.yaml"} {
		write(t, at("config/"+name), "{}")
	}
	asked := request{action: "install", name: "dns", namespace: "kube-system", chart: "", hash: "AB", timeout: "5m0s",
		flags: []string{"--set-string", "a=b"}}
	found, err := prepare(at("chart"), at("config"), at("auth"), at("ca-files"), scratch, asked)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"upgrade", "--install", "dns", filepath.Join(scratch, "dns.tgz"), "--namespace", "kube-system",
		"--values", at("config/values-0-000-set.yaml"), "--values", at("config/values-0-001-content.yaml"),
		"--values", at("config/values-1-000-config.yaml"),
		"--labels", "helmcharts.helm.cattle.io/configHash=AB", "--timeout", "5m0s", "--set-string", "a=b"}
	if got := upgradeArguments(asked, found); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if data, _ := os.ReadFile(filepath.Join(scratch, "dns.tgz")); string(data) != "archive" {
		t.Errorf("the chart's archive is %q", data)
	}
}

func TestAChartOfARepositoryWithCredentials(t *testing.T) {
	top := t.TempDir()
	write(t, filepath.Join(top, "auth/username"), "me")
	write(t, filepath.Join(top, "auth/password"), "secret")
	write(t, filepath.Join(top, "chart/dns.tgz.base64"), "")
	write(t, filepath.Join(top, "ca-files/one.crt"), "ONE")
	write(t, filepath.Join(top, "config/ca-file.pem"), "TWO")
	asked := request{name: "dns", namespace: "x", chart: "dns/coredns", repo: "https://charts.example", plainHTTP: true}
	found, err := prepare(filepath.Join(top, "chart"), filepath.Join(top, "config"), filepath.Join(top, "auth"),
		filepath.Join(top, "ca-files"), t.TempDir(), asked)
	if err != nil {
		t.Fatal(err)
	}
	got := shown(upgradeArguments(asked, found))
	for _, words := range []string{"--install dns coredns ", "--repo https://charts.example", "--username me",
		"--password ***", "--plain-http", "--ca-file " + found.authorities} {
		if !strings.Contains(got, words) {
			t.Errorf("%q is not in %q", words, got)
		}
	}
	if data, _ := os.ReadFile(found.authorities); string(data) != "TWO\nONE\n" {
		t.Errorf("authorities are %q", data)
	}
}

func TestTheLogShowsNoValues(t *testing.T) {
	if got := shown([]string{"upgrade", "--set", "a.b=c=d", "--set-string", "e=f"}); got != "upgrade --set a.b=... --set-string e=..." {
		t.Error(got)
	}
}

func TestADamagedChartIsAnError(t *testing.T) {
	top := t.TempDir()
	write(t, filepath.Join(top, "x.tgz.base64"), "no base64!")
	if _, err := decode(filepath.Join(top, "x.tgz.base64"), top, "x"); err == nil {
		t.Error("want an error")
	}
}

func TestRequestsAreChecked(t *testing.T) {
	good := map[string]string{"NAME": "a", "CHART_NAMESPACE": "b"}
	read := func(action, name, value string) error {
		_, err := readRequest([]string{action}, func(key string) string {
			if key == name {
				return value
			}
			return good[key]
		})
		return err
	}
	if err := read("install", "", ""); err != nil {
		t.Error(err)
	}
	for _, wrong := range [][3]string{{"upgrade", "", ""}, {"install", "NAME", ""}, {"install", "FAILURE_POLICY", "x"},
		{"install", "EXPECTED_RELEASE_REVISION", "-1"}, {"install", "HELM_DRIVER", "sql"}} {
		if read(wrong[0], wrong[1], wrong[2]) == nil {
			t.Error("want an error for", wrong)
		}
	}
}

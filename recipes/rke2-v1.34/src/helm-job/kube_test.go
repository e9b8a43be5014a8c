package main

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const list = `{"kind":"PartialObjectMetadataList","items":[
 {"metadata":{"name":"sh.helm.release.v1.dns.v2","labels":{"owner":"helm","name":"dns","version":"2","status":"deployed","helmcharts.helm.cattle.io/configHash":"AA"}}},
 {"metadata":{"name":"sh.helm.release.v1.dns.v10","labels":{"owner":"helm","name":"dns","version":"10","status":"pending-upgrade"}}}]}`

// cluster answers like an apiserver; the first answers of each are the given ones.
func cluster(t *testing.T, answers ...int) (*client, *[]string) {
	var seen []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(answer http.ResponseWriter, asked *http.Request) {
		query, _ := url.QueryUnescape(asked.URL.RawQuery)
		seen = append(seen, asked.Method+" "+asked.URL.Path+" "+query)
		if asked.Header.Get("Authorization") != "Bearer token" {
			answer.WriteHeader(http.StatusUnauthorized)
			return
		}
		if len(answers) > 0 {
			answer.WriteHeader(answers[0])
			answers = answers[1:]
			return
		}
		answer.Write([]byte(list))
	}))
	t.Cleanup(server.Close)
	folder := t.TempDir()
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	os.WriteFile(filepath.Join(folder, "token"), []byte("token\n"), 0o600)
	os.WriteFile(filepath.Join(folder, "ca.crt"), authority, 0o600)
	host, port, _ := strings.Cut(strings.TrimPrefix(server.URL, "https://"), ":")
	environment := map[string]string{"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
	kube, err := inCluster(func(name string) string { return environment[name] }, folder)
	if err != nil {
		t.Fatal(err)
	}
	kube.interval = 0
	return kube, &seen
}

func TestTheLatestRevisionIsFoundByNumber(t *testing.T) {
	kube, seen := cluster(t, 503, 429)
	asked := request{name: "dns", namespace: "kube-system", driver: "secret"}
	found, err := kube.release(context.Background(), asked)
	if err != nil || found != (release{revision: 10, status: "pending-upgrade", object: "sh.helm.release.v1.dns.v10"}) {
		t.Fatal(found, err)
	}
	if err := kube.drop(context.Background(), asked, found); err != nil {
		t.Fatal(err)
	}
	want := "DELETE /api/v1/namespaces/kube-system/secrets/sh.helm.release.v1.dns.v10 "
	if last := (*seen)[len(*seen)-1]; last != want || len(*seen) != 4 {
		t.Errorf("asked %q", *seen)
	}
}

func TestAForbiddenListIsAnErrorAtOnce(t *testing.T) {
	kube, seen := cluster(t, 403)
	_, err := kube.release(context.Background(), request{name: "dns", namespace: "x", driver: "configmap"})
	if err == nil || len(*seen) != 1 || !strings.Contains((*seen)[0], "/configmaps labelSelector=owner=helm,name=dns") {
		t.Error(err, *seen)
	}
}

func TestARecordThatIsGoneIsNoError(t *testing.T) {
	kube, _ := cluster(t, 404)
	if err := kube.drop(context.Background(), request{namespace: "x"}, release{object: "gone"}); err != nil {
		t.Error(err)
	}
}

func TestAnotherClustersCertificateIsAnErrorAtOnce(t *testing.T) {
	kube, seen := cluster(t)
	kube.http = &http.Client{} // trusts other authorities than the cluster's
	kube.interval = time.Hour
	if _, err := kube.release(context.Background(), request{name: "dns", namespace: "x"}); err == nil || len(*seen) != 0 {
		t.Error(err, *seen)
	}
}

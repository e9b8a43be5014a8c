// Command slowline is a way to a registry on which each request takes a while, and every so manieth body is cut.
//
//	slowline -upstream HOST:PORT [-delay 10ms] [-cut N]
//
// It prints its address. GET /-/line says what passed, as JSON, and begins to count anew.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

type counts struct {
	Requests int   `json:"requests"`
	Blobs    int   `json:"blobs"`  // GETs of blobs
	Ranges   int   `json:"ranges"` // of these with a Range
	Twice    int   `json:"twice"`  // blobs asked for again from their beginning
	Bytes    int64 `json:"bytes"`  // of bodies
	Cuts     int   `json:"cuts"`
	Probes   int   `json:"probes"` // connections that spoke no HTTP, or asked /v2/
}

type line struct {
	upstream string
	delay    time.Duration
	cut      int
	client   *http.Transport
	lock     sync.Mutex
	counts   counts
	bodies   int
	seen     map[string]bool
}

func (l *line) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/-/line" {
		l.lock.Lock()
		defer l.lock.Unlock()
		json.NewEncoder(w).Encode(l.counts)
		l.counts, l.bodies, l.seen = counts{}, 0, map[string]bool{}
		return
	}
	time.Sleep(l.delay)
	l.count(r)
	r.URL.Scheme, r.URL.Host, r.RequestURI = "http", l.upstream, ""
	answer, err := l.client.RoundTrip(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	length, cut := answer.ContentLength, l.cutThis(r, answer)
	w.WriteHeader(answer.StatusCode)
	if r.Method == http.MethodHead || length <= 0 {
		return
	}
	if cut {
		length /= 2
	}
	buffer := make([]byte, 1<<18)
	sent, _ := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(answer.Body, length), buffer)
	l.lock.Lock()
	l.counts.Bytes += sent
	l.lock.Unlock()
	if cut {
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func (l *line) count(r *http.Request) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if r.URL.Path == "/v2/" {
		l.counts.Probes++
		return
	}
	l.counts.Requests++
	if r.Method != http.MethodGet || !containsBlobs(r.URL.Path) {
		return
	}
	l.counts.Blobs++
	if r.Header.Get("Range") != "" {
		l.counts.Ranges++
	} else if l.seen[r.URL.Path] {
		l.counts.Twice++
	}
	l.seen[r.URL.Path] = true
}

func (l *line) cutThis(r *http.Request, answer *http.Response) bool {
	l.lock.Lock()
	defer l.lock.Unlock()
	if l.cut == 0 || r.Method != http.MethodGet || answer.StatusCode >= 300 || answer.ContentLength <= 0 {
		return false
	}
	l.bodies++
	if l.bodies%l.cut != 0 {
		return false
	}
	l.counts.Cuts++
	return true
}

func containsBlobs(path string) bool {
	for at := 0; at+7 <= len(path); at++ {
		if path[at:at+7] == "/blobs/" {
			return true
		}
	}
	return false
}

func main() {
	upstream := flag.String("upstream", "", "the registry, HOST:PORT")
	delay := flag.Duration("delay", 10*time.Millisecond, "of each request")
	cut := flag.Int("cut", 0, "cut every so manieth body in its middle")
	flag.Parse()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(listener.Addr())
	l := &line{
		upstream: *upstream, delay: *delay, cut: *cut, seen: map[string]bool{},
		client: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, ReadBufferSize: 1 << 18},
	}
	server := &http.Server{Handler: l, ErrorLog: log.New(io.Discard, "", 0)}
	log.Fatal(server.Serve(listener))
}

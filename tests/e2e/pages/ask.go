package main

import (
	"io"
	"net/http"
	"time"
)

const (
	health  = "127.0.0.1:10256"
	metrics = "127.0.0.1:10249"
)

type question struct {
	method, server, path, accept string
	body                         func(theirs, ours string) []string // compares two bodies; nil: any will do
}

type answer struct {
	Status  int
	Headers http.Header
	Body    string
}

func (q question) String() string {
	text := q.method + " " + q.server + q.path
	if q.accept != "" {
		text += " (Accept: " + q.accept + ")"
	}
	return text
}

// questions are what people, load balancers, Prometheus and scanners ask.
func questions() []question {
	list := []question{
		{method: "GET", server: metrics, path: "/configz", body: sameConfig},
		{method: "GET", server: metrics, path: "/statusz", body: sameTitle},
		{method: "GET", server: metrics, path: "/flagz", body: sameTitle},
		{method: "GET", server: metrics, path: "/statusz", accept: "application/json", body: sameKind},
		{method: "GET", server: metrics, path: "/flagz", accept: "text/html", body: sameKind},
		{method: "GET", server: metrics, path: "/flagz", accept: "text/*", body: sameTitle},
	}
	for _, method := range []string{"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"} {
		list = append(list,
			question{method: method, server: health, path: "/healthz", body: sameJSON},
			question{method: method, server: health, path: "/livez", body: sameJSON},
			question{method: method, server: metrics, path: "/healthz", body: sameText},
			question{method: method, server: metrics, path: "/proxyMode", body: sameText},
			question{method: method, server: metrics, path: "/nope", body: sameText},
			question{method: method, server: health, path: "/nope", body: sameText})
	}
	for _, path := range []string{"/", "/healthz/", "/healthz?verbose", "/Healthz", "/metrics", "/proxyMode", "/livez/x"} {
		list = append(list, question{method: "GET", server: health, path: path, body: sameKind})
	}
	for _, path := range []string{"/healthz/", "/healthz?exclude=x", "/livez", "/metrics/", "/proxyMode/", "/proxymode", "/debug/pprof/", "/version"} {
		list = append(list, question{method: "GET", server: metrics, path: path, body: sameKind})
	}
	// At the end: by then there is something to count.
	return append(list, question{method: "GET", server: metrics, path: "/metrics", body: sameMetrics})
}

func (q question) ask() (a answer, err error) {
	request, err := http.NewRequest(q.method, "http://"+q.server+q.path, nil)
	if err != nil {
		return a, err
	}
	if q.accept != "" {
		request.Header.Set("Accept", q.accept)
	}
	client := http.Client{
		Timeout:       10 * time.Second,
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return a, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	return answer{Status: response.StatusCode, Headers: response.Header, Body: string(body)}, err
}

package main

import (
	"encoding/json"
	"fmt"
	"io"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/kubernetes/pkg/api/legacyscheme"

	// The API server's own defaults for these two groups.
	_ "k8s.io/kubernetes/pkg/apis/core/install"
	_ "k8s.io/kubernetes/pkg/apis/discovery/install"
)

// Objects of one cluster.
type cluster struct {
	nodes    []*v1.Node
	services []*v1.Service
	slices   []*discovery.EndpointSlice
}

// write prints the objects as one v1 List, as `kubectl get -o json` does.
func (c *cluster) write(w io.Writer) error {
	list := struct {
		metav1.TypeMeta `json:",inline"`
		Items           []runtime.Object `json:"items"`
	}{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "List"}}
	for _, node := range c.nodes {
		list.Items = append(list.Items, node)
	}
	for _, svc := range c.services {
		list.Items = append(list.Items, svc)
	}
	for _, slice := range c.slices {
		list.Items = append(list.Items, slice)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(list)
}

// read takes such a List and applies the API server's defaults, as the watcher of a cluster would see it.
func read(r io.Reader) (*cluster, error) {
	var list struct {
		Items []json.RawMessage `json:"items"`
	}
	if err := json.NewDecoder(r).Decode(&list); err != nil {
		return nil, err
	}
	out := &cluster{}
	for i, item := range list.Items {
		object, kind, err := legacyscheme.Codecs.UniversalDeserializer().Decode(item, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("item %d: %w", i, err)
		}
		legacyscheme.Scheme.Default(object)
		switch object := object.(type) {
		case *v1.Node:
			out.nodes = append(out.nodes, object)
		case *v1.Service:
			out.services = append(out.services, object)
		case *discovery.EndpointSlice:
			out.slices = append(out.slices, object)
		default:
			return nil, fmt.Errorf("item %d: a %s is not for the oracle", i, kind)
		}
	}
	return out, nil
}

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const namespace = "bench"

func connect(kubeconfig string) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 5000, 5000
	config.ContentType = "application/vnd.kubernetes.protobuf"
	config.AcceptContentTypes = "application/vnd.kubernetes.protobuf,application/json"
	return kubernetes.NewForConfig(config)
}

func withTimeout() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), 5*time.Minute)
}

func nameOf(i int) string { return fmt.Sprintf("svc-%05d", i) }

// endpointAddress gives each endpoint its own address, which no host has.
func endpointAddress(i int) string { return fmt.Sprintf("10.%d.%d.%d", 128+i>>16, i>>8&255, i&255) }

func makeSlice(name string, port int32, addresses ...string) *discovery.EndpointSlice {
	portName, protocol := "", v1.ProtocolTCP
	slice := &discovery.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discovery.LabelServiceName: name}},
		AddressType: discovery.AddressTypeIPv4,
		Ports:       []discovery.EndpointPort{{Name: &portName, Port: &port, Protocol: &protocol}},
	}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discovery.Endpoint{Addresses: []string{address}})
	}
	return slice
}

func makeService(name string) *v1.Service {
	return &v1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.ServiceSpec{Ports: []v1.ServicePort{{Port: 80}}}}
}

func createOne(client kubernetes.Interface, i, endpoints int) error {
	ctx, cancel := withTimeout()
	defer cancel()
	addresses := make([]string, endpoints)
	for k := range addresses {
		addresses[k] = endpointAddress(i*endpoints + k)
	}
	slice := makeSlice(nameOf(i), 8080, addresses...)
	if _, err := client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	_, err := client.CoreV1().Services(namespace).Create(ctx, makeService(nameOf(i)), metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// fill creates what is missing; Services that are there stay.
func fill(args []string) error {
	flags := flag.NewFlagSet("fill", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "an admin's")
	first := flags.Int("from", 0, "how many are there")
	count := flags.Int("services", 1000, "how many there shall be")
	endpoints := flags.Int("endpoints", 5, "behind each")
	_ = flags.Parse(args)

	client, err := connect(*kubeconfig)
	if err != nil {
		return err
	}
	_, err = client.CoreV1().Namespaces().Create(context.Background(), &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return err
	}
	var (
		next    atomic.Int64
		wait    sync.WaitGroup
		lock    sync.Mutex
		failed  error
		started = time.Now()
	)
	next.Store(int64(*first))
	for range 16 {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= *count {
					return
				}
				if i%1000 == 999 {
					fmt.Fprintf(os.Stderr, "  %d Services after %.0f s\n", i+1, time.Since(started).Seconds())
				}
				if err := createOne(client, i, *endpoints); err != nil {
					lock.Lock()
					failed = errors.Join(failed, err)
					lock.Unlock()
					return
				}
			}
		})
	}
	wait.Wait()
	return failed
}

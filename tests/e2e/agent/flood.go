package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// flood creates many Services, each with one EndpointSlice that leads to the given address, and prints how long it took.
func flood(args []string) error {
	flags := flag.NewFlagSet("flood", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "an admin's")
	namespace := flags.String("namespace", "flood", "where to put them")
	count := flags.Int("n", 10000, "how many")
	endpoint := flags.String("endpoint", "", "the address behind all of them, port 8080")
	_ = flags.Parse(args)

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 5000, 5000
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	var (
		next    atomic.Int64
		wait    sync.WaitGroup
		lock    sync.Mutex
		failed  error
		started = time.Now()
	)
	for range 16 {
		wait.Go(func() {
			for {
				i := int(next.Add(1))
				if i > *count {
					return
				}
				if err := create(client, *namespace, fmt.Sprintf("svc-%d", i), *endpoint); err != nil {
					lock.Lock()
					failed = errors.Join(failed, err)
					lock.Unlock()
					return
				}
			}
		})
	}
	wait.Wait()
	fmt.Printf("%.1f\n", time.Since(started).Seconds())
	return failed
}

func create(client kubernetes.Interface, namespace, name, endpoint string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	port, portName, protocol := int32(8080), "", v1.ProtocolTCP
	slice := &discovery.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discovery.LabelServiceName: name}},
		AddressType: discovery.AddressTypeIPv4,
		Ports:       []discovery.EndpointPort{{Name: &portName, Port: &port, Protocol: &protocol}},
		Endpoints:   []discovery.Endpoint{{Addresses: []string{endpoint}}},
	}
	if _, err := client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, slice, metav1.CreateOptions{}); err != nil {
		return err
	}
	service := &v1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1.ServiceSpec{Ports: []v1.ServicePort{{Port: 80}}}}
	_, err := client.CoreV1().Services(namespace).Create(ctx, service, metav1.CreateOptions{})
	return err
}

package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/v3"
	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	networking "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const floodInterval = 2 * time.Millisecond // between two Services

// flood creates many Services, each with one EndpointSlice that leads to the given address, and prints how long it took.
//
// The first one is created by the API server. The others are copies that are written into etcd, as the API server sees the
// writes of other API servers. Its own allocator counts all addresses each time, so ten thousand Services would take minutes.
func flood(args []string) error {
	flags := flag.NewFlagSet("flood", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "an admin's")
	etcd := flags.String("etcd", "", "the URL of the API server's etcd")
	namespace := flags.String("namespace", "flood", "where to put them")
	count := flags.Int("n", 10000, "how many")
	endpoint := flags.String("endpoint", "", "the address behind all of them, port 8080")
	_ = flags.Parse(args)

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	store, err := clientv3.New(clientv3.Config{Endpoints: []string{*etcd}, DialTimeout: 10 * time.Second})
	if err != nil {
		return err
	}
	defer store.Close()

	started := time.Now()
	service, slice, err := create(client, *namespace, "svc-1", *endpoint)
	if err != nil {
		return err
	}
	pace := time.NewTicker(floodInterval)
	defer pace.Stop()
	for i := 2; i <= *count; i++ {
		<-pace.C
		if err := writeCopy(store, service, slice, i); err != nil {
			return err
		}
	}
	fmt.Printf("%.1f\n", time.Since(started).Seconds())
	return nil
}

func create(client kubernetes.Interface, namespace, name, endpoint string) (*v1.Service, *discovery.EndpointSlice, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	port, portName, protocol := int32(8080), "", v1.ProtocolTCP
	slice, err := client.DiscoveryV1().EndpointSlices(namespace).Create(ctx, &discovery.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: name, Labels: map[string]string{discovery.LabelServiceName: name}},
		AddressType: discovery.AddressTypeIPv4,
		Ports:       []discovery.EndpointPort{{Name: &portName, Port: &port, Protocol: &protocol}},
		Endpoints:   []discovery.Endpoint{{Addresses: []string{endpoint}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return nil, nil, err
	}
	service, err := client.CoreV1().Services(namespace).Create(ctx, &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       v1.ServiceSpec{Ports: []v1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	return service, slice, err
}

// writeCopy writes Service number i with its slice and its allocated address, in one transaction.
func writeCopy(store *clientv3.Client, service *v1.Service, slice *discovery.EndpointSlice, i int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	name, ip := fmt.Sprintf("svc-%d", i), fmt.Sprintf("10.100.%d.%d", i/256, i%256)

	service, slice = service.DeepCopy(), slice.DeepCopy()
	service.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}
	service.ObjectMeta = renamed(service.ObjectMeta, name)
	service.Spec.ClusterIP, service.Spec.ClusterIPs = ip, []string{ip}
	slice.TypeMeta = metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}
	slice.ObjectMeta = renamed(slice.ObjectMeta, name)
	slice.Labels[discovery.LabelServiceName] = name
	address := &networking.IPAddress{
		TypeMeta:   metav1.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "IPAddress"},
		ObjectMeta: renamed(metav1.ObjectMeta{CreationTimestamp: service.CreationTimestamp}, ip),
		Spec: networking.IPAddressSpec{
			ParentRef: &networking.ParentReference{Resource: "services", Namespace: service.Namespace, Name: name},
		},
	}
	address.Labels = map[string]string{
		networking.LabelIPAddressFamily: "IPv4",
		networking.LabelManagedBy:       "ipallocator.k8s.io",
	}

	var puts []clientv3.Op
	for _, item := range []struct {
		key    string
		object any
	}{
		{"ipaddresses/" + ip, address},
		{"endpointslices/" + slice.Namespace + "/" + name, slice},
		{"services/specs/" + service.Namespace + "/" + name, service},
	} {
		text, err := json.Marshal(item.object)
		if err != nil {
			return err
		}
		puts = append(puts, clientv3.OpPut("/registry/"+item.key, string(text)))
	}
	_, err := store.Txn(ctx).Then(puts...).Commit()
	return err
}

func renamed(meta metav1.ObjectMeta, name string) metav1.ObjectMeta {
	meta.Name, meta.UID, meta.ResourceVersion, meta.ManagedFields = name, uuid.NewUUID(), "", nil
	return meta
}

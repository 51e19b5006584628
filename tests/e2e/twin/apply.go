package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"

	v1 "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Random objects that a real API server accepts. Addresses and node ports are its own choice, but those that come from
// elsewhere: external IPs and the addresses of load balancers.
type maker struct {
	*rand.Rand
	next int
}

func apply(args []string) error {
	flags := flag.NewFlagSet("apply", flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "an admin's")
	seed := flags.Uint64("seed", 1, "which cluster")
	count := flags.Int("services", 24, "how many Services")
	_ = flags.Parse(args)

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.QPS, config.Burst = 500, 500
	config.WarningHandler = rest.NoWarnings{} // external IPs are deprecated; kube-proxy still serves them
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	m := &maker{Rand: rand.New(rand.NewPCG(*seed, 3))}
	for i := range *count {
		svc := m.service(i)
		if err := create(client, svc, m.ingress(svc), m.slices(svc)); err != nil {
			return fmt.Errorf("%s: %w", svc.Name, err)
		}
	}
	// The last one is plain: once it is served, so are those before it.
	last := &v1.Service{ObjectMeta: metav1.ObjectMeta{Name: "last"}, Spec: v1.ServiceSpec{Ports: []v1.ServicePort{{Port: 80}}}}
	slice := newSlice(last, v1.IPv4Protocol)
	slice.Endpoints = []discovery.Endpoint{{Addresses: []string{"10.244.1.10"}}}
	return create(client, last, nil, []*discovery.EndpointSlice{slice})
}

func create(client kubernetes.Interface, svc *v1.Service, ingress []v1.LoadBalancerIngress, slices []*discovery.EndpointSlice) error {
	ctx := context.Background()
	for _, slice := range slices {
		if _, err := client.DiscoveryV1().EndpointSlices("default").Create(ctx, slice, metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	made, err := client.CoreV1().Services("default").Create(ctx, svc, metav1.CreateOptions{})
	if err != nil || len(ingress) == 0 {
		return err
	}
	made.Status.LoadBalancer.Ingress = ingress
	_, err = client.CoreV1().Services("default").UpdateStatus(ctx, made, metav1.UpdateOptions{})
	return err
}

func pick[T any](m *maker, choices ...T) T { return choices[m.IntN(len(choices))] }

func (m *maker) number() int {
	m.next++
	return m.next
}

func (m *maker) service(i int) *v1.Service {
	families := pick(m, []v1.IPFamily{v1.IPv4Protocol}, []v1.IPFamily{v1.IPv6Protocol}, []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol},
		[]v1.IPFamily{v1.IPv6Protocol, v1.IPv4Protocol})
	policy := v1.IPFamilyPolicySingleStack
	if len(families) == 2 {
		policy = v1.IPFamilyPolicyRequireDualStack
	}
	internal := pick(m, v1.ServiceInternalTrafficPolicyCluster, v1.ServiceInternalTrafficPolicyCluster, v1.ServiceInternalTrafficPolicyLocal)
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("svc-%d", i)},
		Spec: v1.ServiceSpec{
			Type: pick(m, v1.ServiceTypeClusterIP, v1.ServiceTypeNodePort, v1.ServiceTypeLoadBalancer, v1.ServiceTypeLoadBalancer),
			Ports: pick(m, []v1.ServicePort{{Port: 80}}, []v1.ServicePort{{Port: 53, Protocol: v1.ProtocolUDP}},
				[]v1.ServicePort{{Name: "t", Port: 53}, {Name: "u", Port: 53, Protocol: v1.ProtocolUDP}},
				[]v1.ServicePort{{Name: "a", Port: 80}, {Name: "b", Port: 81}}),
			IPFamilies: families, IPFamilyPolicy: &policy, InternalTrafficPolicy: &internal,
		},
	}
	if m.IntN(3) == 0 {
		svc.Spec.ExternalIPs = []string{fmt.Sprintf("203.0.113.%d", m.number()), fmt.Sprintf("2001:db8:e::%x", m.number())}
	}
	if svc.Spec.Type != v1.ServiceTypeClusterIP || len(svc.Spec.ExternalIPs) != 0 {
		svc.Spec.ExternalTrafficPolicy = pick(m, v1.ServiceExternalTrafficPolicyCluster, v1.ServiceExternalTrafficPolicyLocal)
	}
	if m.IntN(5) == 0 {
		seconds := int32(600)
		svc.Spec.SessionAffinity = v1.ServiceAffinityClientIP
		svc.Spec.SessionAffinityConfig = &v1.SessionAffinityConfig{ClientIP: &v1.ClientIPConfig{TimeoutSeconds: &seconds}}
	}
	if svc.Spec.Type == v1.ServiceTypeLoadBalancer && m.IntN(2) == 0 {
		// The outsider is 192.168.50.100, the node .11, pods 10.244.1.x; and the same in IPv6.
		svc.Spec.LoadBalancerSourceRanges = pick(m, []string{"192.168.50.96/28", "fd00:50::100/120"}, []string{"192.168.50.0/24", "fd00:50::/64"},
			[]string{"10.244.0.0/16", "fd00:244::/32"}, []string{"203.0.113.0/24"}, []string{"2001:db8::/32"}, []string{"0.0.0.0/0", "fd00:50::11/128"})
	}
	if m.IntN(15) == 0 {
		svc.Labels = map[string]string{"service.kubernetes.io/service-proxy-name": "another"}
	}
	return svc
}

func (m *maker) ingress(svc *v1.Service) []v1.LoadBalancerIngress {
	if svc.Spec.Type != v1.ServiceTypeLoadBalancer {
		return nil
	}
	list := []v1.LoadBalancerIngress{{IP: fmt.Sprintf("198.51.100.%d", m.number())}, {IP: fmt.Sprintf("2001:db8:b::%x", m.number())}}
	if m.IntN(4) == 0 {
		proxy := v1.LoadBalancerIPModeProxy
		list[m.IntN(2)].IPMode = &proxy
	}
	return list
}

func newSlice(svc *v1.Service, family v1.IPFamily) *discovery.EndpointSlice {
	slice := &discovery.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: fmt.Sprintf("%s-%s", svc.Name, family[2:]), Labels: map[string]string{discovery.LabelServiceName: svc.Name}},
		AddressType: discovery.AddressType(family),
	}
	for i := range svc.Spec.Ports {
		port, protocol, number := &svc.Spec.Ports[i], svc.Spec.Ports[i].Protocol, int32(8080+i)
		if protocol == "" {
			protocol = v1.ProtocolTCP
		}
		slice.Ports = append(slice.Ports, discovery.EndpointPort{Name: &port.Name, Protocol: &protocol, Port: &number})
	}
	return slice
}

// slices: a slice for each family, of the six backends that there are: 10, 11, 12 on node-a and on node-b.
func (m *maker) slices(svc *v1.Service) []*discovery.EndpointSlice {
	var out []*discovery.EndpointSlice
	chances := pick(m, []int{1, 1}, []int{1, 1}, []int{1, 1}, []int{0, 1}, []int{1, 0}, []int{0, 0}) // on a, on b
	style := pick(m, "none", "none", "zones", "nodes")
	states := pick(m, []string{"ready"}, []string{"ready", "ready", "draining", "useless"}, []string{"draining"}, []string{"useless"},
		[]string{"ready", "draining"})
	for _, family := range svc.Spec.IPFamilies {
		slice := newSlice(svc, family)
		for index, chance := range chances {
			for number := 10; number < 13; number++ {
				if chance == 1 && m.IntN(3) > 0 {
					slice.Endpoints = append(slice.Endpoints, m.endpoint(family, index, number, pick(m, states...), style))
				}
			}
		}
		out = append(out, slice)
	}
	return out
}

func (m *maker) endpoint(family v1.IPFamily, index, number int, state, style string) discovery.Endpoint {
	ready, serving, terminating := state == "ready", state != "useless", state == "draining"
	node, zone := []string{"node-a", "node-b"}[index], []string{"za", "zb"}[index]
	address := fmt.Sprintf("10.244.%d.%d", index+1, number)
	if family == v1.IPv6Protocol {
		address = fmt.Sprintf("fd00:244:%d::%x", index+1, number)
	}
	ep := discovery.Endpoint{
		Addresses: []string{address}, NodeName: &node,
		Conditions: discovery.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
	}
	switch style {
	case "zones":
		ep.Hints = &discovery.EndpointHints{ForZones: []discovery.ForZone{{Name: zone}}}
	case "nodes":
		ep.Hints = &discovery.EndpointHints{ForZones: []discovery.ForZone{{Name: zone}}, ForNodes: []discovery.ForNode{{Name: node}}}
	}
	return ep
}

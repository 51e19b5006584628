package main

import (
	"fmt"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The random parts of a Service.

const (
	ipv4 = v1.IPv4Protocol
	ipv6 = v1.IPv6Protocol
)

// address returns an unused one of a prefix like "10.96" or "fd00:96:".
func (g *generator) address(family v1.IPFamily, v4, v6 string) string {
	n := g.number()
	if family == ipv6 {
		return fmt.Sprintf("%s:%x", v6, n)
	}
	return fmt.Sprintf("%s.%d.%d", v4, n/250, n%250+1)
}

// sloppy writes an IPv4 address with leading zeros, which the API let in for years.
func (g *generator) sloppy(address string) string {
	var a, b, c, d int
	if n, _ := fmt.Sscanf(address, "%d.%d.%d.%d", &a, &b, &c, &d); n != 4 || !g.chance(10) {
		return address
	}
	g.seen.add("leading zeros")
	return fmt.Sprintf("%03d.%03d.%d.%d", a, b, c, d)
}

func (g *generator) addressing(svc *v1.Service, kind string) []v1.IPFamily {
	families := [][]v1.IPFamily{{ipv4}, {ipv6}, {ipv4, ipv6}, {ipv6, ipv4}, {ipv4, ipv6}}[g.IntN(5)]
	g.seen.add(fmt.Sprintf("families %v", families))
	policy := v1.IPFamilyPolicySingleStack
	if len(families) == 2 {
		policy = v1.IPFamilyPolicyRequireDualStack
	}
	svc.Spec.IPFamilyPolicy, svc.Spec.IPFamilies = &policy, families
	if kind == "headless" {
		svc.Spec.ClusterIP, svc.Spec.ClusterIPs = v1.ClusterIPNone, []string{v1.ClusterIPNone}
		return families
	}
	if kind == "ExternalName" {
		svc.Spec.ExternalName = "example.com"
		svc.Spec.IPFamilyPolicy, svc.Spec.IPFamilies = nil, nil
		if pick(g, "ExternalName with a cluster IP left over", false, true) {
			svc.Spec.ClusterIP = g.address(ipv4, "10.96", "fd00:96:")
		}
		return families
	}
	for _, family := range families {
		svc.Spec.ClusterIPs = append(svc.Spec.ClusterIPs, g.sloppy(g.address(family, "10.96", "fd00:96:")))
	}
	svc.Spec.ClusterIP = svc.Spec.ClusterIPs[0]
	if g.chance(5) {
		g.seen.add("no ipFamilies, only clusterIP")
		svc.Spec.IPFamilyPolicy, svc.Spec.IPFamilies, svc.Spec.ClusterIPs = nil, nil, nil
	}
	return families
}

func (g *generator) ports(svc *v1.Service, external bool) {
	protocols := []v1.Protocol{v1.ProtocolTCP, v1.ProtocolUDP, v1.ProtocolSCTP, v1.ProtocolTCP, v1.ProtocolUDP, ""}
	count := 1 + g.IntN(3)
	for i := range count {
		port := v1.ServicePort{
			Name: fmt.Sprintf("p%d", i), Port: int32(80 + i), Protocol: pick(g, "port protocol", protocols...),
			TargetPort: pick(g, "target port", intstr.FromInt32(8080), intstr.FromString("web"), intstr.IntOrString{}),
		}
		if count == 1 && pick(g, "port without a name", true, false) {
			port.Name = ""
		}
		svc.Spec.Ports = append(svc.Spec.Ports, port)
	}
	if count == 1 && svc.Spec.Ports[0].Name != "" && g.chance(40) {
		g.seen.add("one port number, TCP and UDP")
		svc.Spec.Ports[0].Protocol = v1.ProtocolTCP
		twin := svc.Spec.Ports[0]
		twin.Name, twin.Protocol = pick(g, "twin port name", "twin", "dns"), v1.ProtocolUDP
		svc.Spec.Ports = append(svc.Spec.Ports, twin)
	}
	if !external || (svc.Spec.Type == v1.ServiceTypeLoadBalancer && pick(g, "balancer without node ports", true, false, false)) {
		return
	}
	for i := range svc.Spec.Ports {
		svc.Spec.Ports[i].NodePort = int32(30000 + g.number())
	}
}

func (g *generator) policies(svc *v1.Service, external bool) {
	if internal := pick(g, "internal policy", "", "Cluster", "Local"); internal != "" {
		policy := v1.ServiceInternalTrafficPolicy(internal)
		svc.Spec.InternalTrafficPolicy = &policy
	}
	choices := []v1.ServiceExternalTrafficPolicy{"", "", "Local"}
	if external {
		choices = []v1.ServiceExternalTrafficPolicy{"", "Cluster", "Local", "Local"}
	}
	svc.Spec.ExternalTrafficPolicy = pick(g, "external policy", choices...)
}

func (g *generator) externalIPs(svc *v1.Service) {
	for range 1 + g.IntN(3) {
		switch pick(g, "external IP", "v4", "v4", "v6", "blank", "not one") {
		case "v4":
			svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, g.sloppy(g.address(ipv4, "203.0", "")))
		case "v6":
			svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, g.address(ipv6, "", "2001:db8:e:"))
		case "blank":
			svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, " ")
		case "not one":
			svc.Spec.ExternalIPs = append(svc.Spec.ExternalIPs, "203.0.113.300")
		}
	}
}

func (g *generator) balancer(svc *v1.Service) {
	if svc.Spec.ExternalTrafficPolicy == v1.ServiceExternalTrafficPolicyLocal && pick(g, "health check port given", true, true, false) {
		svc.Spec.HealthCheckNodePort = int32(30000 + g.number())
	}
	vip, proxy := v1.LoadBalancerIPModeVIP, v1.LoadBalancerIPModeProxy
	for range g.IntN(4) {
		var ingress v1.LoadBalancerIngress
		switch pick(g, "ingress", "v4", "v4", "v4 VIP", "v4 Proxy", "v6", "v6", "v6 VIP", "v6 Proxy", "hostname") {
		case "v4":
			ingress.IP = g.address(ipv4, "198.51", "")
		case "v4 VIP":
			ingress.IP, ingress.IPMode = g.address(ipv4, "198.51", ""), &vip
		case "v4 Proxy":
			ingress.IP, ingress.IPMode = g.address(ipv4, "198.51", ""), &proxy
		case "v6":
			ingress.IP = g.address(ipv6, "", "2001:db8:b:")
		case "v6 VIP":
			ingress.IP, ingress.IPMode = g.address(ipv6, "", "2001:db8:b:"), &vip
		case "v6 Proxy":
			ingress.IP, ingress.IPMode = g.address(ipv6, "", "2001:db8:b:"), &proxy
		case "hostname":
			ingress.Hostname = "lb.example.com"
		}
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, ingress)
	}
	if !g.chance(50) {
		return
	}
	ranges := []string{"203.0.113.0/24", "198.18.7.9/15", " 192.168.0.0/24 ", "192.168.0.0/16", "2001:db8:5::/48",
		"fd00:168::/64", "fd00:168::/32", "0.0.0.0/0", "::/0", "010.0.0.0/8", "not a range", ""}
	for range 1 + g.IntN(3) {
		svc.Spec.LoadBalancerSourceRanges = append(svc.Spec.LoadBalancerSourceRanges, pick(g, "source range", ranges...))
	}
}

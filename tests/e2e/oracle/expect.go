package main

import (
	"net"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/proxy"
	"k8s.io/kubernetes/pkg/proxy/apis"
)

// How the node is set up: what the flags of one run say.
type settings struct {
	node          string
	clusterCIDRs  []string
	masqueradeAll bool
	eitherLabel   bool // what sluice does other than kube-proxy on purpose, see hidden
}

// detects: pods of this node are known by the cluster CIDR of their family.
func (s settings) detects(family v1.IPFamily) bool {
	return slices.ContainsFunc(s.clusterCIDRs, func(cidr string) bool {
		return strings.Contains(cidr, ":") == (family == v1.IPv6Protocol)
	})
}

// expect lets kube-proxy's own code decide for these objects, family by family.
func expect(objects *cluster, set settings, seen tally) *plan {
	out := &plan{
		APIVersion: "sluice/v1", Kind: "Plan", Services: []service{}, Conflicts: []any{}, Rejected: []any{},
		Node: planNode{Name: set.node},
	}
	labels := map[string]string{}
	var nodeIPs []net.IP
	for _, node := range objects.nodes {
		if node.Name != set.node {
			continue
		}
		labels = node.Labels
		for _, address := range node.Status.Addresses {
			if address.Type == v1.NodeInternalIP {
				nodeIPs = append(nodeIPs, net.ParseIP(address.Address))
			}
		}
	}
	out.Node.Zone = labels[v1.LabelTopologyZone]
	for _, family := range []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol} {
		expectFamily(out, objects, set, family, labels, nodeIPs, seen)
	}
	out.sort()
	return out
}

func expectFamily(out *plan, objects *cluster, set settings, family v1.IPFamily, labels map[string]string, nodeIPs []net.IP, seen tally) {
	services, endpoints := track(objects, set, family)
	localReady := endpoints.LocalReadyEndpoints()
	healthPorts := services.HealthCheckNodePorts()

	for name, info := range services {
		clusterList, localList, _, hasAny := proxy.CategorizeEndpoints(endpoints[name], info, set.node, labels)
		decider := decider{
			info: info, cluster: names(clusterList), local: names(localList), hasAny: hasAny,
			detects: set.detects(family), masqueradeAll: set.masqueradeAll, seen: seen,
		}
		seen.endpoints(endpoints[name], info, set.node, labels)
		entry := service{
			Namespace: name.Namespace, Name: name.Name, PortName: name.Port, Protocol: string(name.Protocol),
			Family: string(family), HealthCheckNodePort: int(healthPorts[name.NamespacedName]),
			LocalReadyEndpoints: localReady[name.NamespacedName],
			Frontends:           decider.frontends(nodeIPs),
		}
		if info.SessionAffinityType() == v1.ServiceAffinityClientIP {
			entry.AffinitySeconds = info.StickyMaxAgeSeconds()
			seen.add("affinity ClientIP")
		}
		if entry.HealthCheckNodePort != 0 {
			seen.add("health check node port")
		}
		out.Services = append(out.Services, entry)
	}
}

// hidden reports whether a label keeps an object from the proxy. kube-proxy 1.36 selects Services by the first label and
// slices by the second; sluice, on purpose, both by both (differences.md).
func (s settings) hidden(labels map[string]string, kubeProxys string) bool {
	_, elsewhere := labels[apis.LabelServiceProxyName]
	_, headless := labels[v1.IsHeadlessService]
	_, own := labels[kubeProxys]
	return own || (s.eitherLabel && (elsewhere || headless))
}

// track feeds the objects through kube-proxy's change trackers, behind the selectors of its informers.
func track(objects *cluster, set settings, family v1.IPFamily) (proxy.ServicePortMap, proxy.EndpointsMap) {
	serviceChanges := proxy.NewServiceChangeTracker(family, nil, nil)
	for _, svc := range objects.services {
		if !set.hidden(svc.Labels, apis.LabelServiceProxyName) && svc.Spec.ClusterIP != v1.ClusterIPNone {
			serviceChanges.Update(nil, svc)
		}
	}
	endpointChanges := proxy.NewEndpointsChangeTracker(family, set.node, nil, nil)
	for _, slice := range objects.slices {
		if !set.hidden(slice.Labels, v1.IsHeadlessService) {
			endpointChanges.EndpointSliceUpdate(slice, false)
		}
	}
	services, endpoints := proxy.ServicePortMap{}, proxy.EndpointsMap{}
	services.Update(serviceChanges)
	endpoints.Update(endpointChanges)
	return services, endpoints
}

// decider holds what kube-proxy found out about one service port, and turns it into
// what a new connection meets, as its rules do.
type decider struct {
	info                   proxy.ServicePort
	cluster, local         []string
	hasAny                 bool
	detects, masqueradeAll bool
	seen                   tally
}

func (d decider) frontends(nodeIPs []net.IP) []frontend {
	list := []frontend{{Kind: "ClusterIP", Address: d.info.ClusterIP().String(), Port: d.info.Port(), From: d.internal()}}
	add := func(f frontend) {
		if !slices.ContainsFunc(list, func(other frontend) bool { return other.key() == f.key() }) {
			list = append(list, f)
		}
	}
	for _, ip := range d.info.ExternalIPs() {
		add(frontend{Kind: "ExternalIP", Address: ip.String(), Port: d.info.Port(), From: d.external("externalIP")})
	}
	for _, ip := range d.info.LoadBalancerVIPs() {
		add(frontend{Kind: "LoadBalancer", Address: ip.String(), Port: d.info.Port(), From: d.external("load balancer"),
			AllowedSources: d.allowed(nodeIPs)})
	}
	if port := d.info.NodePort(); port != 0 {
		add(frontend{Kind: "NodePort", Address: "*", Port: port, From: d.external("node port")})
	}
	return list
}

// allowed: the source ranges; with one that covers this node, the balancer's own
// addresses too, for the node that reaches them with them as its source.
func (d decider) allowed(nodeIPs []net.IP) []string {
	out := []string{}
	coversNode := false
	for _, cidr := range d.info.LoadBalancerSourceRanges() {
		out = append(out, cidr.String())
		coversNode = coversNode || slices.ContainsFunc(nodeIPs, cidr.Contains)
	}
	if coversNode {
		d.seen.add("source ranges cover this node")
		for _, ip := range d.info.LoadBalancerVIPs() {
			bits := 8 * net.IPv6len
			if ip.To4() != nil {
				bits = 8 * net.IPv4len
			}
			out = append(out, (&net.IPNet{IP: ip, Mask: net.CIDRMask(bits, bits)}).String())
		}
	}
	if len(out) != 0 {
		d.seen.add("source ranges")
	}
	return out
}

func (d decider) internal() map[string]decision {
	from := map[string]decision{}
	for _, source := range sources {
		masquerade := d.masqueradeAll || (d.detects && source != "pod")
		switch {
		case !d.hasAny:
			from[source] = d.refuse("reject", "clusterIP", source, "no endpoint")
		case !d.info.InternalPolicyLocal():
			from[source] = d.balance(d.cluster, masquerade, "clusterIP", source, "policy Cluster")
		case len(d.local) == 0:
			from[source] = d.refuse("drop", "clusterIP", source, "policy Local, none here")
		default:
			from[source] = d.balance(d.local, masquerade, "clusterIP", source, "policy Local")
		}
	}
	return from
}

func (d decider) external(kind string) map[string]decision {
	from := map[string]decision{}
	for _, source := range sources {
		switch {
		case !d.hasAny:
			from[source] = d.refuse("reject", kind, source, "no endpoint")
		case !d.info.ExternalPolicyLocal():
			from[source] = d.balance(d.cluster, true, kind, source, "policy Cluster")
		case source == "pod" && d.detects:
			from[source] = d.balance(d.cluster, false, kind, source, "policy Local, short cut")
		case source == "node":
			from[source] = d.balance(d.cluster, true, kind, source, "policy Local, short cut")
		case len(d.local) == 0:
			from[source] = d.refuse("drop", kind, source, "policy Local, none here")
		default:
			from[source] = d.balance(d.local, false, kind, source, "policy Local")
		}
	}
	return from
}

func (d decider) balance(endpoints []string, masquerade bool, kind, source, why string) decision {
	mask := ""
	if masquerade {
		mask = ", masqueraded"
	}
	d.seen.add(kind + " from " + source + ": " + why + mask)
	return decision{Action: "balance", Masquerade: masquerade, Endpoints: endpoints}
}

func (d decider) refuse(action, kind, source, why string) decision {
	d.seen.add(kind + " from " + source + ": " + why)
	return decision{Action: action, Endpoints: []string{}}
}

func names(endpoints []proxy.Endpoint) []string {
	out := make([]string, 0, len(endpoints))
	for _, endpoint := range endpoints {
		out = append(out, endpoint.String())
	}
	slices.Sort(out)
	return out
}

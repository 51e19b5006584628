# shellcheck shell=bash
# Changes that people make to Services and Deployments, with kubectl.

scenario_expose() {
	local ip ip6 port target seen=0
	deployment web 3
	expose web --type NodePort --overrides '{"spec": {"ipFamilyPolicy": "PreferDualStack"}}'
	ip=$(cluster_ip web) port=$(node_port web)
	ip6=$(kubectl get service web -o jsonpath='{.spec.clusterIPs[1]}')
	await 30 answered pod "$ip:80" 3 || fail "a Pod gets $(answers pod "$ip:80")"
	fact "answers after $TOOK"
	for target in "pod $ip:80" "pod [$ip6]:80" "a $ip:80" "a [$ip6]:80" "outside $ip:80" "outside 192.168.50.11:$port" \
		"outside [fd00:50::11]:$port" "a 192.168.50.11:$port" "pod 192.168.50.11:$port"; do
		# shellcheck disable=SC2086
		await 10 answered $target 3 || fail "from $target: $(answers $target)"
		seen=$((seen + 1))
	done
	fact "3 Pods from $seen places, IPv4 and IPv6"
}

scenario_scale() {
	local ip count
	deployment many 1
	expose many
	ip=$(cluster_ip many)
	await 30 answered pod "$ip:80" 1 || fail "one Pod: $(answers pod "$ip:80")"
	for count in 10 0 3; do
		kubectl scale deployment many --replicas "$count" >/dev/null
		if [ "$count" = 0 ]; then
			await 60 refused pod "$ip:80" || fail "with no Pod: $(answers pod "$ip:80" tcp 5)"
		else
			await 60 answered pod "$ip:80" "$count" || fail "$count Pods: $(answers pod "$ip:80")"
		fi
		fact "$count after $TOOK"
	done
}

scenario_rollout() {
	local ip before after
	deployment roll 10
	expose roll
	ip=$(cluster_ip roll)
	await 30 answered pod "$ip:80" 10 || fail "ten Pods: $(answers pod "$ip:80")"
	before=$(pod_names roll)
	load_start load pod "$ip:80"
	load_start load-outside outside "$ip:80"
	kubectl rollout restart deployment roll >/dev/null
	kubectl rollout status deployment roll --timeout 360s >/dev/null || fail "the rollout does not end"
	await 60 old_pods_gone "$before" || fail "old Pods stay"
	after=$(pod_names roll)
	await 30 answered_by pod "$ip:80" "$after" || fail "new Pods: $(answers pod "$ip:80")"
	load_flawless load
	load_flawless load-outside
}

old_pods_gone() {
	local name
	for name in $1; do
		! kubectl get pod "$name" >/dev/null 2>&1 || return 1
	done
}

scenario_ports() {
	local ip
	deployment ports 2
	expose ports
	ip=$(cluster_ip ports)
	await 30 answered pod "$ip:80" 2 || fail "port 80: $(answers pod "$ip:80")"
	kubectl patch service ports --type json -p '[{"op": "replace", "path": "/spec/ports", "value": [
		{"name": "web", "port": 81, "targetPort": 9090}, {"name": "ask", "port": 81, "protocol": "UDP", "targetPort": 8080}]}]' >/dev/null
	await 30 answered pod "$ip:81" 2 || fail "port 81: $(answers pod "$ip:81")"
	fact "80 to 81 after $TOOK"
	await 10 answered pod "$ip:81" 2 udp || fail "UDP port 81: $(answers pod "$ip:81" udp)"
	await 10 unanswered pod "$ip:80" || fail "port 80 still: $(answers pod "$ip:80")"
	[ "$(in_ns pod "$AGENT" hits -n 1 "$ip:81" | wc -w)" = 1 ] || fail "port 81 does not last"
	fact "the UDP port too, the old one is refused"
}

scenario_types() {
	local ip port
	deployment kind 2
	expose kind
	ip=$(cluster_ip kind)
	await 30 answered pod "$ip:80" 2 || fail "ClusterIP: $(answers pod "$ip:80")"

	kubectl patch service kind -p '{"spec": {"type": "NodePort"}}' >/dev/null
	port=$(node_port kind)
	await 30 answered outside "192.168.50.11:$port" 2 || fail "NodePort: $(answers outside "192.168.50.11:$port")"
	fact "NodePort after $TOOK"
	kubectl patch service kind -p '{"spec": {"type": "ClusterIP"}}' >/dev/null
	await 30 unanswered outside "192.168.50.11:$port" || fail "no NodePort any more, and it answers: $(answers outside "192.168.50.11:$port")"
	await 10 answered pod "$ip:80" 2 || fail "ClusterIP after NodePort: $(answers pod "$ip:80")"
	kubectl patch service kind -p '{"spec": {"type": "NodePort"}}' >/dev/null
	port=$(node_port kind)
	await 30 answered outside "192.168.50.11:$port" 2 || fail "NodePort again: $(answers outside "192.168.50.11:$port")"

	kubectl patch service kind --type merge -p '{"spec": {"type": "ExternalName", "externalName": "example.com", "clusterIP": null, "clusterIPs": null,
		"ports": null, "ipFamilies": null, "ipFamilyPolicy": null}}' >/dev/null
	await 30 unanswered pod "$ip:80" || fail "ExternalName still answers: $(answers pod "$ip:80")"
	fact "ExternalName, gone after $TOOK:$(answers pod "$ip:80" tcp 3)"
	await 30 unanswered outside "192.168.50.11:$port" || fail "its node port still answers"

	kubectl patch service kind --type merge -p '{"spec": {"type": "ClusterIP", "externalName": null, "ports": [{"port": 80, "targetPort": 8080}]}}' >/dev/null
	ip=$(cluster_ip kind)
	await 30 answered pod "$ip:80" 2 || fail "ClusterIP again: $(answers pod "$ip:80")"
	fact "ClusterIP again after $TOOK"

	# A cluster IP cannot be removed in place: the Service is deleted and created again without one.
	kubectl delete service kind >/dev/null
	expose kind --cluster-ip None
	await 30 unanswered pod "$ip:80" || fail "headless still answers: $(answers pod "$ip:80")"
	fact "headless, gone after $TOOK:$(answers pod "$ip:80" tcp 3)"
	kubectl delete service kind >/dev/null
	expose kind
	ip=$(cluster_ip kind)
	await 30 answered pod "$ip:80" 2 || fail "ClusterIP after headless: $(answers pod "$ip:80")"
}

scenario_labels() {
	local ip label=service.kubernetes.io/service-proxy-name slice
	deployment hidden 2
	expose hidden
	ip=$(cluster_ip hidden)
	await 30 answered pod "$ip:80" 2 || fail "before: $(answers pod "$ip:80")"
	kubectl label service hidden $label= >/dev/null
	await 30 unanswered pod "$ip:80" || fail "still served with the label: $(answers pod "$ip:80")"
	fact "service-proxy-name hides it after $TOOK"
	kubectl label service hidden $label- >/dev/null
	await 30 answered pod "$ip:80" 2 || fail "not back without the label: $(answers pod "$ip:80")"
	fact "back after $TOOK"

	slice=$(by_hand hidden2 8080 "$(pod_ips hidden | cut -d ' ' -f 1)")
	ip=$(cluster_ip hidden2)
	await 30 answered pod "$ip:80" 1 || fail "slice by hand: $(answers pod "$ip:80")"
	kubectl label endpointslice "$slice" service.kubernetes.io/headless= >/dev/null
	await 30 refused pod "$ip:80" || fail "still served with the headless label on its slice: $(answers pod "$ip:80")"
	fact "headless on the slice refuses after $TOOK"
	kubectl label endpointslice "$slice" service.kubernetes.io/headless- >/dev/null
	await 30 answered pod "$ip:80" 1 || fail "not back without it: $(answers pod "$ip:80")"
}

scenario_endpoints_by_hand() {
	local ip first second
	deployment back 2
	read -r first second <<<"$(pod_ips back)"
	kubectl create -f - >/dev/null <<-END
		apiVersion: v1
		kind: Service
		metadata: {name: mirrored, labels: {e2e: ""}}
		spec: {ports: [{port: 80}]}
	END
	write_endpoints "$first"
	ip=$(cluster_ip mirrored)
	await 30 answered pod "$ip:80" 1 || fail "one address: $(answers pod "$ip:80")"
	fact "v1 Endpoints served after $TOOK"
	write_endpoints "$first" "$second"
	await 30 answered pod "$ip:80" 2 || fail "two addresses: $(answers pod "$ip:80")"
	fact "a second address after $TOOK"
	kubectl delete endpoints mirrored >/dev/null 2>&1
	await 30 refused pod "$ip:80" || fail "Endpoints deleted: $(answers pod "$ip:80")"
	fact "refused after $TOOK"
}

write_endpoints() {
	local address list=
	for address; do
		list+="{ip: $address}, "
	done
	kubectl apply -f - >/dev/null 2>&1 <<-END
		apiVersion: v1
		kind: Endpoints
		metadata: {name: mirrored, labels: {e2e: ""}}
		subsets: [{addresses: [$list], ports: [{port: 8080}]}]
	END
}

scenario_zone() {
	local ip first second names
	deployment zoned 2
	read -r first second <<<"$(pod_ips zoned)"
	mapfile -t names < <(kubectl get pods -l app=zoned -o jsonpath='{range .items[*]}{.metadata.name}{"\n"}{end}')
	by_hand zones 8080 "$first=za" "$second=zb" >/dev/null
	ip=$(cluster_ip zones)
	await 30 answered_by pod "$ip:80" "${names[0]}" || fail "zone za: $(answers pod "$ip:80")"
	kubectl label node node-a topology.kubernetes.io/zone=zb --overwrite >/dev/null
	await 30 answered_by pod "$ip:80" "${names[1]}" || fail "zone zb: $(answers pod "$ip:80")"
	fact "za to zb after $TOOK"
	kubectl label node node-a topology.kubernetes.io/zone- >/dev/null
	await 30 answered pod "$ip:80" 2 || fail "no zone: $(answers pod "$ip:80")"
	fact "no zone, both after $TOOK"
	kubectl label node node-a topology.kubernetes.io/zone=za >/dev/null
	await 30 answered_by pod "$ip:80" "${names[0]}" || fail "zone za again: $(answers pod "$ip:80")"
}

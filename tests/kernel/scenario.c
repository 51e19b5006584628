#include "tests/kernel/scenario.h"

static const struct manifest_service limited[] = {
	{.name = "limited",
	 .type = "LoadBalancer",
	 .ip = "svc20",
	 .ports = "p 80>80@3001",
	 .vips = "vip4 vip5",
	 .external = "ext20",
	 .ranges = "192.168.0.0/24, ' 203.0.113.0/25', 'fd00:192:168::/64', "
		   "'2001:db8:113::/64'",
	 .endpoints = "pod1R"},
	{.name = "limited-empty",
	 .type = "LoadBalancer",
	 .ip = "svc21",
	 .ports = "p 80>80",
	 .vips = "vip6",
	 .ranges = "203.0.113.0/25, '2001:db8:113::/64'"},
};
static const struct traffic_row limited_rows[] = {
	{"pod2", "svc20:80", "pod1:80", NULL},
	{"client", "node:3001", "pod1:80 +m", NULL},
	{"blocked", "node:3001", "pod1:80 +m", NULL},
	{"blocked", "ext20:80", "pod1:80 +m", NULL},
	{"client", "vip4:80", "pod1:80 +m", NULL},
	{"client", "vip5:80", "pod1:80 +m", NULL},
	{"blocked", "vip4:80", "silent", NULL},
	{"blocked", "vip5:80", "silent", NULL},
	{"pod2", "vip4:80", "silent", NULL},
	{"node", "vip4:80", "pod1:80 +m", NULL},
	{"node3", "vip4:80", "silent", NULL},
	{"client", "vip6:80", "refused ~reset", NULL},
	{"blocked", "vip6:80", "silent", NULL},
};
const struct scenario *const scenario_source_ranges = SCENARIO(limited, limited_rows);

/* The last octet is that of the cluster IP and of the load balancer's address. */
#define POLICY(N, NODE_PORT, POLICIES, ENDPOINTS)                                        \
	{                                                                                \
		.name = "svc" #N, .type = "LoadBalancer", .ip = "svc" #N,                \
		.ports = "p 80>80@" #NODE_PORT, .vips = "vip" #N, .policy = POLICIES,    \
		.endpoints = ENDPOINTS                                                   \
	}
static const struct manifest_service policies[] = {
	POLICY(51, 3001, NULL, "pod1R far1R"), POLICY(52, 3002, "eL", "pod1R far1R"),
	POLICY(53, 3003, "iL", "pod1R far1R"),
	POLICY(54, 3004, "eL", "far1R"), /* no pod here */
};

#define BOTH	"pod1:80 far1:80"
#define BOTH_M	"pod1:80 far1:80 +m"
#define LOCAL	"pod1:80"
#define LOCAL_M "pod1:80 +m"
#define FAR	"far1:80"
#define FAR_M	"far1:80 +m"
/* with --masquerade-all eBPF mode leaves everything to nftables: only packets can be masqueraded */
#define BOTH_A	"pod1:80 far1:80 +M"
#define LOCAL_A "pod1:80 +M"
#define FAR_A	"far1:80 +M"

/* C: by the cluster IP.  X: by the external addresses, which behave alike. */
#define FROM(SOURCE, C51, X51, C52, X52, C53, X53, X54)                                  \
	{SOURCE, "svc51:80", C51, NULL}, {SOURCE, "vip51:80", X51, NULL},                \
		{SOURCE, "node:3001", X51, NULL}, {SOURCE, "svc52:80", C52, NULL},       \
		{SOURCE, "vip52:80", X52, NULL}, {SOURCE, "node:3002", X52, NULL},       \
		{SOURCE, "svc53:80", C53, NULL}, {SOURCE, "vip53:80", X53, NULL},        \
		{SOURCE, "node:3003", X53, NULL}, {SOURCE, "vip54:80", X54, NULL},       \
	{                                                                                \
		SOURCE, "node:3004", X54, NULL                                           \
	}

static const struct traffic_row pods_known[] = {
	FROM("pod3", BOTH, BOTH_M, BOTH, BOTH, LOCAL, BOTH_M, FAR),
	FROM("node3", BOTH_M, BOTH_M, BOTH_M, BOTH_M, LOCAL_M, BOTH_M, FAR_M),
	FROM("client", BOTH_M, BOTH_M, BOTH_M, LOCAL, LOCAL_M, BOTH_M, "silent"),
};
const struct scenario *const scenario_pods_known = SCENARIO(policies, pods_known);

/* A socket filter does not know the interfaces of pods: these connections are reset. */
static const struct traffic_row pods_known_by_interface[] = {
	FROM("pod3", BOTH, BOTH_M, BOTH, BOTH, LOCAL, BOTH_M, FAR),
	FROM("node3", BOTH_M, BOTH_M, BOTH_M, BOTH_M, LOCAL_M, BOTH_M, FAR_M),
	FROM("client", BOTH_M, BOTH_M, BOTH_M, LOCAL, LOCAL_M, BOTH_M, "silent ~reset"),
};
const struct scenario *const scenario_pods_known_by_interface =
	SCENARIO(policies, pods_known_by_interface);

static const struct traffic_row pods_unknown[] = {
	FROM("pod3", BOTH, BOTH_M, BOTH, LOCAL, LOCAL, BOTH_M, "silent"),
	FROM("node3", BOTH, BOTH_M, BOTH, BOTH_M, LOCAL, BOTH_M, FAR_M),
	FROM("client", BOTH, BOTH_M, BOTH, LOCAL, LOCAL, BOTH_M, "silent"),
};
const struct scenario *const scenario_pods_unknown = SCENARIO(policies, pods_unknown);

static const struct traffic_row masquerade_all[] = {
	FROM("pod3", BOTH_A, BOTH_A, BOTH_A, BOTH, LOCAL_A, BOTH_A, FAR),
	FROM("node3", BOTH_A, BOTH_A, BOTH_A, BOTH_A, LOCAL_A, BOTH_A, FAR_A),
	FROM("client", BOTH_A, BOTH_A, BOTH_A, LOCAL, LOCAL_A, BOTH_A, "silent"),
};
const struct scenario *const scenario_masquerade_all = SCENARIO(policies, masquerade_all);

static const struct traffic_row masquerade_all_pods_unknown[] = {
	FROM("pod3", BOTH_A, BOTH_A, BOTH_A, LOCAL, LOCAL_A, BOTH_A, "silent"),
	FROM("node3", BOTH_A, BOTH_A, BOTH_A, BOTH_A, LOCAL_A, BOTH_A, FAR_A),
	FROM("client", BOTH_A, BOTH_A, BOTH_A, LOCAL, LOCAL_A, BOTH_A, "silent"),
};
const struct scenario *const scenario_masquerade_all_pods_unknown =
	SCENARIO(policies, masquerade_all_pods_unknown);

/*
 * KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) as a plain value,
 * with kube-proxy's defaults.  Flags and the configuration file both write
 * into it, through the one table of fields.
 *
 * Differences on purpose: mode "" means auto, and the default of a minimum sync
 * period is zero: changes are gathered for gather_period only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "proxy/config/value.h"

struct config_rules { /* the sections "iptables" and "nftables" */
	int32_t masquerade_bit;
	bool masquerade_all;
	bool localhost_nodeports; /* iptables only */
	int64_t sync_period_ns;
	int64_t min_sync_period_ns; /* 0: as soon as a burst is gathered */
};

struct config_conntrack {
	int32_t max_per_core, min;
	bool tcp_be_liberal;
	int64_t tcp_close_wait_ns, tcp_established_ns;
	int64_t udp_ns, udp_stream_ns;
};

struct config_ipvs { /* read, checked, and without effect */
	struct strings exclude_cidrs;
	char *scheduler;
	bool strict_arp;
	int64_t sync_period_ns, min_sync_period_ns;
	int64_t tcp_fin_timeout_ns, tcp_timeout_ns, udp_timeout_ns;
};

struct config_winkernel { /* read and without effect */
	bool enable_dsr, forward_health_check_vip;
	char *network_name, *root_hns_endpoint_name, *source_vip;
};

struct config_logging {
	char *format; /* "text" or "json" */
	int64_t flush_frequency_ns;
	int32_t verbosity;
	char *json_buffer, *text_buffer;
	bool json_split, text_split;
};

/* The eBPF plane; empty strings: found by itself. */
struct config_ebpf {
	char *cgroup_root, *bpffs_root;
	struct strings exclude_cgroups;
	bool host_only;
};

struct config_userspace {
	int32_t workers;       /* threads; 0: one for each core */
	bool take_over;	       /* the listeners of a daemon that runs */
	struct strings listen; /* addresses of local ports, at most one of a family */
};

struct config {
	char *bind_address;
	bool bind_address_hard_fail;
	char *accept_content_types, *content_type;
	int32_t burst;
	char *kubeconfig;
	double qps;
	char *cluster_cidr;
	int64_t config_sync_period_ns;
	struct config_conntrack conntrack;
	char *bridge_interface, *interface_name_prefix;
	char *detect_local_mode;
	bool enable_profiling;
	struct strings feature_gates;
	char *healthz_bind_address, *metrics_bind_address; /* "": disabled */
	char *hostname_override;
	struct config_rules iptables, nftables;
	struct config_ipvs ipvs;
	struct config_logging logging;
	char *mode;
	struct strings nodeport_addresses;
	int32_t oom_score_adj;
	char *port_range;
	char *show_hidden_metrics;
	bool windows_run_as_service;
	struct config_winkernel winkernel;

	/* Not part of the file: */
	int32_t healthz_port, metrics_port; /* for an address without one; 0: disabled */
	char *master;
	struct strings manifests;
	char *control_socket;
	char *state_dir; /* of the last known objects; "": none */
	struct config_ebpf ebpf;
	struct config_userspace userspace;
	int64_t gather_period_ns; /* how long a burst of changes is gathered */
	int64_t timeout_ns;	  /* of reading all objects once; 0: none */
	bool service_metrics;	  /* a series of metrics for each service */
	int64_t audit_period_ns;  /* between two comparisons with the kernel; 0: never */
	const char *const *modes; /* of this build, NULL at the end; NULL: not checked */
};

struct config_field {
	const char *path; /* "iptables.minSyncPeriod"; the table is sorted by it */
	enum value_kind kind;
	size_t offset;		  /* in struct config */
	const char *default_text; /* as a flag would give it */
	bool omit_empty;	  /* left out of a written file when it is empty */
	bool zero_is_absent;	  /* in a file, zero means the default; "" always does */
};

extern const struct config_field config_fields[];
extern const size_t config_n_fields;

/* NULL when there is none of this path. */
const struct config_field *config_field_find(const char *path);
static inline void *config_slot(struct config *c, const struct config_field *f)
{
	return (char *)c + f->offset;
}

void config_init(struct config *c);
void config_fini(struct config *c);

/*
 * Fills in values that follow from other fields: the ports of addresses, and
 * defaults of fields that must not be empty.
 */
void config_complete(struct config *c);

void config_set_up_log(const struct config *c);

/* The section that counts: as kube-proxy, the one that belongs to the mode. */
const struct config_rules *config_rules(const struct config *c);
/*
 * Kubernetes' feature gates: all names are accepted, since tools pass the same
 * ones to all components; these have an effect here.
 */
#define GATE_EXTERNAL_IPS "AllowServiceExternalIPs"
#define GATE_SAME_TRAFFIC "PreferSameTrafficDistribution"

/* dflt when it is not mentioned. */
bool config_gate(const struct config *c, const char *name, bool dflt);
/* The gates that are set and have no effect, "A, B"; "" for none. The caller frees it. */
char *config_unused_gates(const struct config *c);

/* Adds a line "field: reason" for each thing that is wrong; true when there is none. */
bool config_validate(const struct config *c, struct buf *errors);

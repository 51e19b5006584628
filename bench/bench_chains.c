/*
 * For comparison: the same objects in the shape that kube-proxy 1.36 gives them
 * (a chain and an anonymous map for each Service), through `nft -f`, in a
 * network namespace of its own.  A change costs the work that kube-proxy does: it
 * lists the table and replaces the rules of one chain.
 *
 *   bench_chains SERVICES ENDPOINTS
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/rows.h"
#include "bench/workload.h"
#include "core/cleanup.h"

#define N_COLD	  3
#define N_CHANGES 20

static const char base[] =
	"table ip kube-bench {\n"
	" set cluster-ips { type ipv4_addr; }\n"
	" map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }\n"
	" chain services {\n"
	"  ip daddr @cluster-ips ip saddr != " WORKLOAD_POD_CIDR
	" mark set mark or 0x4000\n"
	"  ip daddr . meta l4proto . th dport vmap @service-ips\n"
	" }\n"
	" chain masquerading {\n"
	"  mark and 0x4000 != 0 mark set mark xor 0x4000 masquerade fully-random\n"
	" }\n"
	" chain nat-prerouting { type nat hook prerouting priority -100; jump services; "
	"}\n"
	" chain nat-output { type nat hook output priority -100; jump services; }\n"
	" chain nat-postrouting { type nat hook postrouting priority 100; jump "
	"masquerading; }\n"
	"}\n";

static void add_chain_name(struct buf *out, uint32_t service)
{
	buf_printf(out, "service-%08X-ns-%u/svc-%u/tcp/http", service * 2654435761u,
		   service % 50, service);
}

static void add_rule(struct buf *out, uint32_t service, uint32_t n_endpoints,
		     uint32_t version)
{
	char text[ADDR_TEXT_LEN];

	buf_add_string(out, "add rule ip kube-bench ");
	add_chain_name(out, service);
	buf_printf(out, " meta l4proto tcp dnat ip to numgen random mod %u map {",
		   n_endpoints);
	for (uint32_t i = 0; i < n_endpoints; i++) {
		struct addr a = workload_endpoint(service, i, n_endpoints, version);

		buf_printf(out, "%s %u : %s . %u", i ? "," : "", i, addr_format(&a, text),
			   WORKLOAD_TARGET_PORT);
	}
	buf_add_string(out, " }\n");
}

static void add_service(struct buf *out, uint32_t service, uint32_t n_endpoints)
{
	struct addr ip = workload_cluster_ip(service);
	char text[ADDR_TEXT_LEN];

	buf_add_string(out, "add chain ip kube-bench ");
	add_chain_name(out, service);
	buf_add_char(out, '\n');
	add_rule(out, service, n_endpoints, 0);
	buf_printf(out, "add element ip kube-bench cluster-ips { %s }\n",
		   addr_format(&ip, text));
	buf_printf(out, "add element ip kube-bench service-ips { %s . tcp . %u : goto ",
		   text, WORKLOAD_PORT);
	add_chain_name(out, service);
	buf_add_string(out, " }\n");
}

/* Runs nft with this on its standard input; answers its peak memory. */
static double run_nft(const char *const *args, const struct buf *input)
{
	_cleanup_(closep) int in = memfd_create("input", MFD_CLOEXEC);
	struct rusage usage;
	int status;
	pid_t pid;

	if (in == -1)
		rows_fail(-errno, "memfd");
	if (write(in, buf_string(input), input->len) != (ssize_t)input->len ||
	    lseek(in, 0, SEEK_SET) != 0)
		rows_fail(-errno, "memfd");
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)dup2(in, STDIN_FILENO);
		if (!freopen("/dev/null", "w", stdout))
			_exit(126);
		(void)execvp(args[0], (char *const *)(uintptr_t)args);
		_exit(127);
	}
	if (pid == -1 || wait4(pid, &status, 0, &usage) != pid)
		rows_fail(-errno, "nft");
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		rows_fail(-EINVAL, "nft refused it");
	return (double)usage.ru_maxrss / 1024.0;
}

static const char *const nft_file[] = {"nft", "-f", "-", NULL};
static const char *const nft_list[] = {"nft",	"--json", "--terse",	"list",
				       "table", "ip",	  "kube-bench", NULL};

static void measure_cold_start(struct rows_size size)
{
	_cleanup_(buf_fini) struct buf text = BUF_INIT;
	_cleanup_(buf_fini) struct buf gone = BUF_INIT;
	struct row row = {0};
	double memory_mb = 0;

	buf_add_string(&text, base);
	for (uint32_t i = 0; i < size.n_services; i++)
		add_service(&text, i, size.n_endpoints);
	buf_add_string(&gone, "delete table ip kube-bench\n");
	for (int i = 0; i < N_COLD; i++) {
		uint64_t start_us;

		if (i > 0)
			(void)run_nft(nft_file, &gone);
		start_us = samples_now_us();
		memory_mb = run_nft(nft_file, &text);
		samples_add(&row.total, samples_now_us() - start_us);
	}
	rows_print(size, "chains: cold start", &row);
	rows_note(size, "memory: nft at most %.1f MB", memory_mb);
}

static void measure_endpoint_change(struct rows_size size)
{
	static const struct buf nothing = BUF_INIT;
	struct row row = {0};
	double memory_mb = 0;

	for (uint32_t i = 0; i < N_CHANGES; i++) {
		_cleanup_(buf_fini) struct buf text = BUF_INIT;
		uint32_t service = i * 7919 % size.n_services;
		uint64_t start_us;

		buf_add_string(&text, "flush chain ip kube-bench ");
		add_chain_name(&text, service);
		buf_add_char(&text, '\n');
		add_rule(&text, service, size.n_endpoints, i + 1);
		start_us = samples_now_us();
		memory_mb = run_nft(nft_list, &nothing);
		(void)run_nft(nft_file, &text);
		samples_add(&row.total, samples_now_us() - start_us);
	}
	rows_print(size, "chains: one changed", &row);
	rows_note(size, "memory: nft at most %.1f MB", memory_mb);
}

int main(int argc, char **argv)
{
	struct rows_size size = rows_parse_size(argc, argv, 3, "");

	if (unshare(CLONE_NEWNET) == -1)
		rows_fail(-errno, "a network namespace of its own");
	measure_cold_start(size);
	measure_endpoint_change(size);
	return 0;
}

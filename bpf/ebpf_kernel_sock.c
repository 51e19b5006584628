#include "bpf/ebpf_kernel_sock.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpf/ebpf_layout.h"
#include "core/cleanup.h"
#include "core/mem.h"

#if defined(__x86_64__) || defined(__i386__) || defined(__s390x__)
#define KEEPS_ORDER_OF_LOADS true
#else
#define KEEPS_ORDER_OF_LOADS false
#endif

static const struct btf_member *find_member(const struct btf *btf, uint32_t type,
					    const char *name)
{
	const struct btf_type *t = btf__type_by_id(btf, type);
	const struct btf_member *m = t && btf_is_struct(t) ? btf_members(t) : NULL;

	for (uint32_t i = 0; m && i < btf_vlen(t); i++) {
		const char *other = btf__name_by_offset(btf, m[i].name_off);

		if (other && strcmp(other, name) == 0)
			return &m[i];
	}
	return NULL;
}

static uint32_t find_function(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);

	return id > 0 ? (uint32_t)id : 0;
}

static bool find_fields(const struct btf *btf, struct ebpf_kernel_sock *ret)
{
	int type = btf__find_by_name_kind(btf, "sock", BTF_KIND_STRUCT);
	const struct btf_member *common, *cookie, *storage;

	if (type <= 0)
		return false;
	ret->type = (uint32_t)type;
	common = find_member(btf, ret->type, "__sk_common");
	storage = find_member(btf, ret->type, "sk_bpf_storage");
	cookie = common ? find_member(btf, common->type, "skc_cookie") : NULL;
	if (!cookie || !storage)
		return false;
	ret->cookie = (common->offset + cookie->offset) / 8;
	ret->storage = storage->offset / 8;
	return true;
}

struct ebpf_kernel_sock ebpf_kernel_sock_find(void)
{
	struct ebpf_kernel_sock found = {0};
	struct btf *btf = KEEPS_ORDER_OF_LOADS ? btf__load_vmlinux_btf() : NULL;

	if (!btf)
		return found;
	if (find_fields(btf, &found))
		found.cast = find_function(btf, "bpf_rdonly_cast");
	btf__free(btf);
	return found;
}

int ebpf_kernel_sock_put(struct bpf_program *program, uint32_t cast)
{
	size_t n = bpf_program__insn_cnt(program);
	_cleanup_(freep) struct bpf_insn *copy = xcalloc(n, sizeof(*copy));

	memcpy(copy, bpf_program__insns(program), n * sizeof(*copy));
	for (size_t i = 0; i < n; i++) {
		struct bpf_insn *call = &copy[i];

		if (call->code != (BPF_JMP | BPF_CALL) || call->src_reg != 0 ||
		    call->imm != EBPF_CALL_OF_CAST)
			continue;
		call->src_reg = BPF_PSEUDO_KFUNC_CALL;
		call->imm = (int32_t)cast;
	}
	return bpf_program__set_insns(program, copy, n);
}

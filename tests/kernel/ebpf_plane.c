#include "tests/kernel/ebpf_plane.h"

#include "bpf/ebpf_kernel.h"
#include "core/cleanup.h"
#include "tests/test.h"

static const struct environment env;

struct ebpf_plane ebpf_plane_open(const struct ebpf_stage *stage)
{
	struct ebpf_params params = ebpf_stage_params(stage);
	struct changeset nothing = {.full = true, .env = &env};
	struct ebpf_plane p = {.stage = stage};
	_cleanup_(freep) char *why = NULL;
	unsigned n_reattached;

	if (ebpf_kernel_open(&params, &p.kernel, &why) != 0)
		fail_msg("%s", why);
	p.table = ebpf_table_new(p.kernel);
	assert_int_equal(ebpf_table_apply(p.table, &nothing), 0);
	assert_int_equal(ebpf_kernel_attach(p.kernel, &n_reattached), 0);
	return p;
}

void ebpf_plane_close(struct ebpf_plane *p)
{
	unsigned n_removed;

	ebpf_table_free(p->table);
	ebpf_kernel_close(p->kernel);
	assert_int_equal(ebpf_kernel_cleanup(p->stage->bpffs, &n_removed), 0);
	*p = (struct ebpf_plane){0};
}

void ebpf_plane_put(const struct ebpf_plane *p, struct service *s)
{
	struct change change = {NULL, s};
	struct changeset cs = {.env = &env, .changes = &change, .n = 1};

	assert_int_equal(ebpf_table_apply(p->table, &cs), 0);
	service_unref(s);
}

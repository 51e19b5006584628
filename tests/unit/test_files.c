/*
 * Manifests are followed through everything that editors, deployers and kubelet
 * do to files and folders: real inotify, a real loop, in a folder of its own.
 *
 * Most tests are rows of steps, which run_step() interprets:
 *
 *	write FILE a=1 b=2	a manifest with Services a and b, 10.96.0.1 and .2
 *	broken FILE [a=1]	the same, and then a document that does not parse
 *	empty FILE
 *	mv FROM TO, rm PATH, mkdir PATH, ln TARGET LINK
 *	swap VERSION a=1	a new version of a ConfigMap's volume with web.yaml
 *	follow PATH [ERRNO]	reads it, with this error, and starts following
 *	read PATH		only reads it
 *	a=1, a=-		waits until Service a has this address, is gone
 *	keep a			from now on Service a must not be missing
 *	settle			waits until all that happened has been noticed
 *	reported N TEXT		N reports have the text in them
 *	missing N		so many paths are missing
 */
#include "tests/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/unit/files_world.h"

static void write_services(const struct files_world *w, const char *file, char *services,
			   const char *tail)
{
	struct buf text = BUF_INIT;
	char *save = NULL;

	for (char *s = strtok_r(services, " ", &save); s;
	     s = strtok_r(NULL, " ", &save)) {
		char *number = strchr(s, '=');
		_cleanup_(freep) char *ip = xasprintf("10.96.0.%s", number + 1);
		_cleanup_(freep) char *one = NULL;

		*number = '\0';
		one = files_service_text(s, ip);
		buf_printf(&text, "---\n%s", one);
	}
	buf_add_string(&text, tail);
	world_write(&w->base, file, buf_string(&text));
	buf_fini(&text);
}

static void take_swap(struct files_world *w, const char *version, char *service)
{
	char *number = strchr(service, '=');
	_cleanup_(freep) char *ip = xasprintf("10.96.0.%s", number + 1);

	*number = '\0';
	files_world_swap(w, version, service, ip);
}

static void take_await(const struct files_world *w, char *service)
{
	char *number = strchr(service, '=');
	_cleanup_(freep) char *ip = xasprintf("10.96.0.%s", number + 1);

	*number = '\0';
	files_world_await(w, service, strcmp(number + 1, "-") == 0 ? "" : ip);
}

static const struct {
	const char *name;
	int number;
} errors[] = {{"ENOENT", ENOENT}, {"EINVAL", EINVAL}};

static void take_read(struct files_world *w, const char *path)
{
	const char *full = files_at(w, path);

	files_world_read(w, 0, &full, 1);
}

static void take_follow(struct files_world *w, const char *path, const char *error)
{
	int err = 0;

	for (size_t i = 0; i < N_ELEMENTS(errors); i++)
		if (strcmp(error, errors[i].name) == 0)
			err = errors[i].number;
	files_world_follow(w, -err, files_at(w, path));
}

static void run_step(struct files_world *w, const char *step)
{
	char verb[64], a[64] = "", rest[128] = "";

	(void)sscanf(step, "%63s %63s %127[^\n]", verb, a, rest);
	if (strcmp(verb, "write") == 0)
		write_services(w, a, rest, "");
	else if (strcmp(verb, "broken") == 0)
		write_services(w, a, rest, "---\nkind: [Serv");
	else if (strcmp(verb, "empty") == 0)
		world_write(&w->base, a, "");
	else if (strcmp(verb, "mv") == 0)
		world_rename(&w->base, a, rest);
	else if (strcmp(verb, "rm") == 0)
		world_remove(&w->base, a);
	else if (strcmp(verb, "mkdir") == 0)
		world_make_folder(&w->base, a);
	else if (strcmp(verb, "ln") == 0)
		world_link(&w->base, a, rest);
	else if (strcmp(verb, "swap") == 0)
		take_swap(w, a, rest);
	else if (strcmp(verb, "follow") == 0)
		take_follow(w, a, rest);
	else if (strcmp(verb, "read") == 0)
		take_read(w, a);
	else if (strcmp(verb, "keep") == 0)
		(void)strcpy(w->watched, a);
	else if (strcmp(verb, "settle") == 0)
		files_world_pause(w, 0.8); /* more than the grace of a missing file */
	else if (strcmp(verb, "reported") == 0)
		assert_int_equal(files_world_n_reported(w, rest), strtoul(a, NULL, 10));
	else if (strcmp(verb, "missing") == 0)
		assert_int_equal(files_n_missing(w->files), strtoul(a, NULL, 10));
	else if (strchr(verb, '='))
		take_await(w, verb);
	else
		fail_msg("unknown step: %s", step);
}

static void run_steps(void **state)
{
	struct files_world *w = *state;

	for (const char *const *step = w->steps; *step; step++) {
		print_message("%s\n", *step);
		run_step(w, *step);
	}
	if (w->has_blinked)
		fail_msg("Service %s was missing for a moment", w->watched);
}

#define STEPS(...)                                                                       \
	(const char *const[])                                                            \
	{                                                                                \
		__VA_ARGS__, NULL                                                        \
	}

static const struct {
	const char *name;
	const char *const *steps;
} stories[] = {
	{"files_that_come_change_and_go_are_followed",
	 STEPS("follow .", "write a.yaml a=1", "a=1", "write a.yaml a=2", "a=2",
	       "write .a.tmp a=3", "mv .a.tmp a.yaml", "a=3", "mv a.yaml b.yaml",
	       "settle", "a=3", "write b.yaml b=4", "b=4", "a=-", "rm b.yaml", "b=-",
	       "reported 0 :")},
	{"a_file_that_does_not_parse_keeps_its_objects",
	 STEPS("write a.yaml a=1", "follow .", "keep a", "broken a.yaml", "settle", "a=1",
	       "reported 1 a.yaml", "reported 1 its last good objects stay in effect",
	       "write a.yaml a=2", "a=2")},
	{"a_file_that_never_parsed_has_the_objects_before_the_bad_place",
	 STEPS("broken a.yaml a=1", "write b.yaml b=2", "follow . EINVAL", "a=1", "b=2",
	       "reported 1 a.yaml:  : line 8")},
	{"an_empty_file_has_no_objects",
	 STEPS("write a.yaml a=1", "follow .", "empty a.yaml", "a=-", "reported 0 :")},
	{"a_mounted_config_map_is_followed",
	 STEPS("swap ..1 a=1", "follow .", "keep a", "a=1", "swap ..2 a=2", "a=2",
	       "swap ..3 a=3", "a=3", "reported 0 :")},
	{"a_file_of_a_mounted_config_map_is_followed",
	 STEPS("swap ..1 a=1", "follow web.yaml", "keep a", "swap ..2 a=2", "a=2",
	       "write ..2/web.yaml a=3", "a=3")},
	{"a_folder_that_goes_away_keeps_its_objects",
	 STEPS("mkdir x", "mkdir x/m", "write x/m/a.yaml a=1", "follow x/m", "keep a",
	       "mv x/m x/other", "settle", "a=1", "missing 1", "mkdir x/m",
	       "write x/m/a.yaml a=2", "a=2", "missing 0", "rm x", "settle", "a=2",
	       "missing 1", "mkdir x", "mkdir x/m", "write x/m/a.yaml a=3", "a=3",
	       "write x/m/a.yaml a=4", "a=4", "missing 0")},
	{"a_folder_that_comes_back_has_the_objects_of_its_files",
	 STEPS("mkdir m", "write m/a.yaml a=1", "write m/b.yaml b=1", "follow m",
	       "mv m old", "settle", "a=1", "b=1", "rm old/b.yaml", "mv old m", "b=-",
	       "a=1")},
	{"an_empty_folder_has_no_objects",
	 STEPS("mkdir m", "write m/a.yaml a=1", "follow m", "rm m/a.yaml", "a=-",
	       "missing 0", "write m/a.yaml a=2", "a=2", "mkdir n", "mv m old", "mv n m",
	       "a=-", "missing 0")},
	{"a_folder_may_be_replaced_in_one_step",
	 STEPS("mkdir m", "mkdir n", "write m/a.yaml a=1", "write n/a.yaml a=2",
	       "follow m", "keep a", "mv m old", "mv n m", "a=2", "write m/a.yaml a=3",
	       "a=3")},
	{"a_link_to_a_folder_may_be_swapped",
	 STEPS("mkdir v1", "mkdir v2", "write v1/a.yaml a=1", "write v2/a.yaml a=2",
	       "ln v1 now", "follow now", "keep a", "a=1", "ln v2 new", "mv new now",
	       "a=2", "write v2/a.yaml a=3", "a=3")},
	{"a_single_file_is_followed_and_may_be_deleted",
	 STEPS("write a.yaml a=1", "write b.yaml b=1", "follow a.yaml",
	       "write a.yaml a=2", "a=2", "write new a=3", "mv new a.yaml", "a=3",
	       "rm a.yaml", "a=-", "missing 1", "write a.yaml a=4", "a=4", "b=-",
	       "missing 0")},
	{"a_single_file_whose_folder_goes_away_keeps_its_objects",
	 STEPS("mkdir m", "write m/a.yaml a=1", "follow m/a.yaml", "keep a", "mv m old",
	       "settle", "a=1", "missing 1", "mv old m", "write m/a.yaml a=2", "a=2",
	       "missing 0")},
	{"a_link_in_a_folder_is_a_file",
	 STEPS("follow .", "write a.txt a=1", "ln a.txt a.yaml", "a=1", "rm a.yaml",
	       "a=-")},
	{"a_path_that_does_not_exist_yet_is_awaited",
	 STEPS("follow x/y/a.yaml ENOENT", "missing 1", "mkdir x", "mkdir x/y",
	       "write x/y/a.yaml a=1", "a=1", "missing 0")},
	{"of_files_with_the_same_object_the_first_one_counts",
	 STEPS("write b.yaml a=2", "write c.yaml a=3", "follow .", "keep a", "a=2",
	       "reported 1 c.yaml: Service default/a: ", "write a.yaml a=1", "a=1",
	       "settle", "reported 1 b.yaml: Service default/a: ", "write c.yaml a=33",
	       "settle", "a=1", "rm a.yaml", "a=2", "write b.yaml b=2", "a=33")},
	{"a_renamed_file_is_not_a_second_owner",
	 STEPS("write b.yaml a=1", "follow .", "keep a", "mv b.yaml a.yaml", "settle",
	       "mv a.yaml c.yaml", "settle", "a=1", "reported 0 :")},
	{"of_two_same_objects_in_a_file_the_first_one_counts",
	 STEPS("write a.yaml a=1 a=2", "follow .", "a=1",
	       "reported 1 this file has it twice", "write a.yaml a=2", "a=2")},
	{"names_that_look_like_manifests_but_are_not_are_reported",
	 STEPS("write a.YML a=1", "write b.JSON b=1", "mkdir deeper.yaml",
	       "write deeper.yaml/a.yaml a=1", "mkdir .git", "mkdir lost+found", "read .",
	       "a=-", "reported 1 a.YML:  : is not read: the name must end in",
	       "reported 1 b.JSON:", "reported 1 deeper.yaml:  : is a folder",
	       "reported 3 :  : ")},
};

int main(void)
{
	struct CMUnitTest tests[N_ELEMENTS(stories)] = {0};

	for (size_t i = 0; i < N_ELEMENTS(stories); i++)
		tests[i] = (struct CMUnitTest){
			.name = stories[i].name,
			.test_func = run_steps,
			.setup_func = files_world_setup,
			.teardown_func = files_world_teardown,
			.initial_state = (void *)(uintptr_t)stories[i].steps,
		};
	return _cmocka_run_group_tests("files", tests, N_ELEMENTS(tests), NULL, NULL);
}

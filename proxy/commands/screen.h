/*
 * A terminal for a table that is drawn again and again: another screen, keys without
 * echo. Closing it restores the terminal; signals that end the program arrive as a key.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

struct screen { /* embedded */
	struct termios before;
	sigset_t signals; /* that arrive as a key */
	int signal_fd;
};

enum screen_key {		       /* others are characters */
		  SCREEN_TIMEOUT = -1, /* no key */
		  SCREEN_RESIZED = -2,
		  SCREEN_END = -3, /* a signal, or the terminal is gone */
};

/* 0, or -errno if standard input and output are not a terminal. */
int screen_open(struct screen *s);
void screen_close(struct screen *s);
void screen_size(size_t *ret_rows, size_t *ret_columns);
/* Shows the text; lines are cut at the width, and the rest of the screen is empty. */
void screen_draw(const char *text);
/* Waits for a key, so long at most. */
int screen_key(struct screen *s, uint64_t timeout_us);

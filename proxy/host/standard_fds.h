/*
 * A program may be started with closed standard streams. The next file that it opens would
 * get the number of one, and the log would be written into it.
 */
#pragma once

/* Opens /dev/null for each of stdin, stdout and stderr that is closed. */
void standard_fds_open(void);

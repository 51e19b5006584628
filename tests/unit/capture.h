/*
 * What is logged while somebody listens.
 */
#pragma once

/* From now on. */
void capture_start(void);
/* Ends it; the text is good until the next start. */
char *capture_end(void);

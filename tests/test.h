/*
 * cmocka, with the headers that it needs before it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ctest reads this exit status as "skipped". */
#define TEST_SKIPPED 77

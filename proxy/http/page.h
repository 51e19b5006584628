/*
 * The page for people, `/` on the metrics server: page.html, which is embedded when the
 * program is built. It loads nothing from elsewhere, and reads /status,
 * /services.json and /events.json.
 */
#pragma once

struct http_reply;

/* 500 when there are no random numbers for its policy. */
void page_reply(struct http_reply *reply);

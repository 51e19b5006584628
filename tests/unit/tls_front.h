/*
 * TLS in front of a fake server: each connection is decrypted and passed on, with
 * the name in the client's certificate as a header line "Client: NAME" ("Client: -"
 * without one).  Certificates are made by the test.
 */
#pragma once

struct pki; /* a certificate authority */
struct tls_front;

struct identity {
	char *cert, *key; /* PEM; the caller frees them */
};

struct pki *pki_new(void);
void pki_free(struct pki *p);
const char *pki_ca(const struct pki *p); /* its certificate, PEM */
/* For 127.0.0.1, with CN=name, valid for that many days from now; < 0: it has expired. */
struct identity pki_issue(struct pki *p, const char *name, int days);
void identity_free(struct identity *i);

/* Forwards to http://127.0.0.1:PORT. */
struct tls_front *tls_front_new(const char *to_url, const struct identity *server);
void tls_front_free(struct tls_front *f);
const char *tls_front_url(const struct tls_front *f); /* https://127.0.0.1:… */
/* Another certificate; open connections are closed. */
void tls_front_set_identity(struct tls_front *f, const struct identity *server);

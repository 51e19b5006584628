/*
 * A process of its own for each connection: GnuTLS may block there, and does not
 * delay the loop of the test.
 */
#include "tests/unit/tls_front.h"

#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/cleanup.h"
#include "core/mem.h"
#include "tests/test.h"

#define DAY_SEC (24 * 60 * 60)

struct pki {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t cert;
	char *pem;
	uint8_t serial;
};

struct tls_front {
	int fd; /* listens */
	uint16_t to_port;
	char url[64];
	gnutls_datum_t tickets; /* sessions are resumed, also after another certificate */
	pid_t pid;
};

static void must(int rc)
{
	if (rc < 0)
		fail_msg("%s", gnutls_strerror(rc));
}

static gnutls_x509_privkey_t make_key(void)
{
	gnutls_x509_privkey_t key;

	must(gnutls_x509_privkey_init(&key));
	must(gnutls_x509_privkey_generate(
		key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
		0));
	return key;
}

static gnutls_x509_crt_t make_cert(struct pki *p, gnutls_x509_privkey_t key,
				   const char *name, int days)
{
	_cleanup_(freep) char *dn = xasprintf("CN=%s", name);
	const struct in_addr here = {htonl(INADDR_LOOPBACK)};
	const time_t now = time(NULL);
	gnutls_x509_crt_t cert;

	must(gnutls_x509_crt_init(&cert));
	p->serial++;
	must(gnutls_x509_crt_set_version(cert, 3));
	must(gnutls_x509_crt_set_serial(cert, &p->serial, 1));
	must(gnutls_x509_crt_set_activation_time(cert, now - 30 * DAY_SEC));
	must(gnutls_x509_crt_set_expiration_time(cert, now + days * DAY_SEC));
	must(gnutls_x509_crt_set_dn(cert, dn, NULL));
	must(gnutls_x509_crt_set_key(cert, key));
	must(gnutls_x509_crt_set_basic_constraints(cert, p->cert == NULL, -1));
	must(gnutls_x509_crt_set_subject_alt_name(cert, GNUTLS_SAN_IPADDRESS, &here,
						  sizeof(here), GNUTLS_FSAN_SET));
	must(gnutls_x509_crt_sign2(cert, p->cert ? p->cert : cert, p->cert ? p->key : key,
				   GNUTLS_DIG_SHA256, 0));
	return cert;
}

static char *take_pem(gnutls_datum_t *pem)
{
	char *text = xstrndup((const char *)pem->data, pem->size);

	gnutls_free(pem->data);
	return text;
}

static char *cert_pem(gnutls_x509_crt_t cert)
{
	gnutls_datum_t pem;

	must(gnutls_x509_crt_export2(cert, GNUTLS_X509_FMT_PEM, &pem));
	return take_pem(&pem);
}

struct pki *pki_new(void)
{
	struct pki *p = xcalloc(1, sizeof(*p));

	p->key = make_key();
	p->cert = make_cert(p, p->key, "authority", 10);
	p->pem = cert_pem(p->cert);
	return p;
}

void pki_free(struct pki *p)
{
	gnutls_x509_crt_deinit(p->cert);
	gnutls_x509_privkey_deinit(p->key);
	free(p->pem);
	free(p);
}

const char *pki_ca(const struct pki *p)
{
	return p->pem;
}

struct identity pki_issue(struct pki *p, const char *name, int days)
{
	gnutls_x509_privkey_t key = make_key();
	gnutls_x509_crt_t cert = make_cert(p, key, name, days);
	struct identity i = {.cert = cert_pem(cert)};
	gnutls_datum_t pem;

	must(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem));
	i.key = take_pem(&pem);
	gnutls_x509_crt_deinit(cert);
	gnutls_x509_privkey_deinit(key);
	return i;
}

void identity_free(struct identity *i)
{
	free(i->cert);
	free(i->key);
}

static void client_name(gnutls_session_t session, char *name, size_t size)
{
	unsigned n = 0;
	const gnutls_datum_t *chain = gnutls_certificate_get_peers(session, &n);
	gnutls_x509_crt_t cert;

	(void)snprintf(name, size, "-");
	if (!n)
		return;
	must(gnutls_x509_crt_init(&cert));
	must(gnutls_x509_crt_import(cert, chain, GNUTLS_X509_FMT_DER));
	must(gnutls_x509_crt_get_dn_by_oid(cert, GNUTLS_OID_X520_COMMON_NAME, 0, 0, name,
					   &size));
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0 ? fd : -1;
}

/* The request's head, with the client's name after its first line. */
static bool pass_head(gnutls_session_t session, int to)
{
	struct buf head = BUF_INIT, out = BUF_INIT;
	char bytes[4096], name[64];
	const char *rest;
	ssize_t n;

	while (!strstr(buf_string(&head), "\r\n\r\n")) {
		n = gnutls_record_recv(session, bytes, sizeof(bytes));
		if (n <= 0)
			return false;
		buf_add(&head, bytes, (size_t)n);
	}
	client_name(session, name, sizeof(name));
	rest = strstr(buf_string(&head), "\r\n") + 2;
	buf_printf(&out, "%.*sClient: %s\r\n%s", (int)(rest - head.data), head.data, name,
		   rest);
	return send(to, out.data, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
}

static void pass_answer(gnutls_session_t session, int client, int from)
{
	struct pollfd fds[] = {{.fd = from, .events = POLLIN},
			       {.fd = client, .events = POLLRDHUP}};
	char bytes[4096];
	ssize_t n;

	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		n = recv(from, bytes, sizeof(bytes), 0);
		if (n <= 0 || gnutls_record_send(session, bytes, (size_t)n) != n)
			break;
	}
	(void)gnutls_bye(session, GNUTLS_SHUT_WR);
}

static void serve(const struct tls_front *f, gnutls_certificate_credentials_t server,
		  int client)
{
	gnutls_session_t session;
	int to, rc;

	must(gnutls_init(&session, GNUTLS_SERVER));
	must(gnutls_set_default_priority(session));
	must(gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, server));
	must(gnutls_session_ticket_enable_server(session, &f->tickets));
	gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
	gnutls_transport_set_int(session, client);
	do
		rc = gnutls_handshake(session);
	while (rc < 0 && !gnutls_error_is_fatal(rc));
	to = connect_to(f->to_port);
	if (rc == 0 && to != -1 && pass_head(session, to))
		pass_answer(session, client, to);
}

static void accept_all(const struct tls_front *f, const struct identity *identity)
{
	const gnutls_datum_t cert = {(unsigned char *)identity->cert,
				     (unsigned)strlen(identity->cert)};
	const gnutls_datum_t key = {(unsigned char *)identity->key,
				    (unsigned)strlen(identity->key)};
	gnutls_certificate_credentials_t server;

	must(gnutls_certificate_allocate_credentials(&server));
	must(gnutls_certificate_set_x509_key_mem(server, &cert, &key,
						 GNUTLS_X509_FMT_PEM));
	(void)signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int client = accept4(f->fd, NULL, NULL, SOCK_CLOEXEC);

		if (client != -1 && fork() == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
			serve(f, server, client);
			_exit(0);
		}
		(void)close(client);
	}
}

static void start(struct tls_front *f, const struct identity *server)
{
	f->pid = fork();
	assert_true(f->pid >= 0);
	if (f->pid)
		return;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	accept_all(f, server);
}

static void stop(struct tls_front *f)
{
	(void)kill(f->pid, SIGKILL);
	assert_int_equal(waitpid(f->pid, NULL, 0), f->pid);
}

struct tls_front *tls_front_new(const char *to_url, const struct identity *server)
{
	struct tls_front *f = xcalloc(1, sizeof(*f));
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	f->to_port = (uint16_t)atoi(strrchr(to_url, ':') + 1);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(f->fd, 32), 0);
	assert_int_equal(getsockname(f->fd, (struct sockaddr *)&sa, &len), 0);
	(void)snprintf(f->url, sizeof(f->url), "https://127.0.0.1:%u",
		       ntohs(sa.sin_port));
	must(gnutls_session_ticket_key_generate(&f->tickets));
	start(f, server);
	return f;
}

void tls_front_free(struct tls_front *f)
{
	if (!f)
		return;
	stop(f);
	(void)close(f->fd);
	gnutls_free(f->tickets.data);
	free(f);
}

const char *tls_front_url(const struct tls_front *f)
{
	return f->url;
}

void tls_front_set_identity(struct tls_front *f, const struct identity *server)
{
	stop(f);
	start(f, server);
}

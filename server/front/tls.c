#include "server/front/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEM_MAX (256 * 1024)
/* TLS 1.2, where it is allowed: forward secrecy and authenticated encryption, nothing older. */
#define CIPHERS_12                                                                                 \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"     \
    "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"

static struct {
    pthread_mutex_t lock;
    SSL_CTX *current;      /* whose certificate a new handshake gets */
    X509_STORE *client_ca; /* NULL: clients are not asked */
    STACK_OF(X509_NAME) * client_names;
} serving = {.lock = PTHREAD_MUTEX_INITIALIZER};

static enum status read_pem(int descriptor, const char *what, char *pem, size_t *size,
                            struct error *error) {
    size_t have = 0;
    for (;;) {
        ssize_t n = read(descriptor, pem + have, PEM_MAX - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_fail(error, STATUS_INVALID, "the TLS %s cannot be read", what);
        if (n == 0)
            break;
        have += (size_t)n;
        if (have == PEM_MAX)
            return status_fail(error, STATUS_INVALID, "the TLS %s is larger than %d bytes", what,
                               PEM_MAX);
    }
    *size = have;
    return STATUS_OK;
}

/* No prompt: an encrypted key fails instead of asking a terminal that is not there. */
static int no_passphrase(char *out, int size, int writing, void *user) {
    (void)out;
    (void)size;
    (void)writing;
    (void)user;
    return -1;
}

static enum status use_certificate(SSL_CTX *context, const char *pem, size_t size,
                                   struct error *error) {
    enum status status = STATUS_OK;
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    X509 *leaf = bio ? PEM_read_bio_X509(bio, NULL, no_passphrase, NULL) : NULL;
    if (!leaf || SSL_CTX_use_certificate(context, leaf) != 1)
        status = status_fail(error, STATUS_INVALID, "the TLS certificate is not a PEM certificate");
    while (status == STATUS_OK) {
        X509 *link = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        if (!link)
            break;
        if (SSL_CTX_add1_chain_cert(context, link) != 1)
            status = status_fail(error, STATUS_INVALID, "the TLS certificate's chain is unusable");
        X509_free(link);
    }
    X509_free(leaf);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

static enum status use_key(SSL_CTX *context, const char *pem, size_t size, struct error *error) {
    enum status status = STATUS_OK;
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    if (!key)
        status = status_fail(error, STATUS_INVALID, "the TLS key is not an unencrypted PEM key");
    else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
        status = status_fail(error, STATUS_INVALID,
                             "the TLS key does not belong to the "
                             "certificate");
    EVP_PKEY_free(key);
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

/* The authorities: as what a client's certificate is checked against, and as names that it is told.
 */
static enum status use_client_ca(SSL_CTX *context, const char *pem, size_t size,
                                 struct error *error) {
    BIO *bio = BIO_new_mem_buf(pem, (int)size);
    unsigned count = 0;
    enum status status = bio ? STATUS_OK : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    while (status == STATUS_OK) {
        X509 *authority = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);
        if (!authority)
            break;
        if (X509_check_ca(authority) == 0)
            status = status_fail(error, STATUS_INVALID,
                                 "certificate %u of the client authorities is no authority's",
                                 count + 1);
        else if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority) != 1 ||
                 SSL_CTX_add_client_CA(context, authority) != 1)
            status = status_fail(error, STATUS_INVALID, "the client authorities are unusable");
        count++;
        X509_free(authority);
    }
    if (status == STATUS_OK && count == 0)
        status = status_fail(error, STATUS_INVALID,
                             "found no PEM certificate, expected those of the client authorities");
    BIO_free(bio);
    ERR_clear_error();
    return status;
}

/* A handshake with ourselves, in memory. */
static enum status rehearse(SSL_CTX *server_context, struct error *error) {
    SSL_CTX *client_context = SSL_CTX_new(TLS_client_method());
    SSL *server = SSL_new(server_context);
    SSL *client = client_context ? SSL_new(client_context) : NULL;
    BIO *left = NULL, *right = NULL;
    bool done = false;
    if (server && client && BIO_new_bio_pair(&left, 0, &right, 0) == 1) {
        SSL_set_bio(server, left, left);
        SSL_set_bio(client, right, right);
        SSL_set_accept_state(server);
        SSL_set_connect_state(client);
        for (int i = 0; i < 8 && !done; i++) {
            (void)SSL_do_handshake(client);
            (void)SSL_do_handshake(server);
            done = SSL_is_init_finished(client) && SSL_is_init_finished(server);
        }
    }
    SSL_free(client);
    SSL_free(server);
    SSL_CTX_free(client_context);
    ERR_clear_error();
    return done ? STATUS_OK
                : status_fail(error, STATUS_INVALID,
                              "no TLS connection can be made with this certificate and key");
}

static SSL_CTX *bare_context(uint32_t minimum, struct error *error) {
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    if (!c) {
        status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        return NULL;
    }
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_min_proto_version(c, minimum == 12 ? TLS1_2_VERSION : TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(c, CIPHERS_12) != 1 || SSL_CTX_set_num_tickets(c, 0) != 1) {
        status_fail(error, STATUS_INTERNAL, "this OpenSSL lacks TLS 1.3");
        SSL_CTX_free(c);
        return NULL;
    }
    return c;
}

/* One file into the context; `field` is its setting. */
struct part {
    const char *field, *what;
    int descriptor;
    enum status (*use)(SSL_CTX *context, const char *pem, size_t size, struct error *error);
};

static enum status build(const struct part *parts, size_t count, uint32_t minimum,
                         SSL_CTX **context, const char **field, struct error *error) {
    enum status status = STATUS_OK;
    const char *at = "tls.certificate";
    char *pem = malloc(PEM_MAX);
    SSL_CTX *c = pem ? bare_context(minimum, error) : NULL;
    if (!c)
        status = pem ? STATUS_UNAVAILABLE : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        size_t size = 0;
        if (parts[i].descriptor < 0)
            continue;
        at = parts[i].field;
        status = read_pem(parts[i].descriptor, parts[i].what, pem, &size, error);
        if (status == STATUS_OK)
            status = parts[i].use(c, pem, size, error);
    }
    if (status == STATUS_OK) {
        *context = c;
        c = NULL;
    } else if (field) {
        *field = at;
    }
    if (pem)
        explicit_bzero(pem, PEM_MAX);
    free(pem);
    SSL_CTX_free(c);
    return status;
}

enum status tls_context(const struct tls_files *files, uint32_t minimum, SSL_CTX **context,
                        const char **field, struct error *error) {
    const struct part parts[] = {
        {"tls.certificate", "certificate", files->certificate, use_certificate},
        {"tls.key", "key", files->key, use_key},
        {"tls.client_ca", "client authorities", files->client_ca, use_client_ca}};
    SSL_CTX *c = NULL;
    enum status status = build(parts, sizeof parts / sizeof *parts, minimum, &c, field, error);
    if (status == STATUS_OK)
        status = rehearse(c, error);
    if (status != STATUS_OK) {
        SSL_CTX_free(c);
        return status;
    }
    if (files->client_ca >= 0)
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL); /* asked for, not demanded */
    *context = c;
    return STATUS_OK;
}

void tls_close(struct tls_files *files) {
    int *const all[] = {&files->certificate, &files->key, &files->client_ca};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (*all[i] >= 0)
            close(*all[i]);
        *all[i] = -1;
    }
}

/* --- renewal ---------------------------------------------------------------------------------- */

static int on_hello(SSL *ssl, int *alert, void *context) {
    (void)alert;
    (void)context;
    pthread_mutex_lock(&serving.lock);
    SSL_CTX *current = serving.current;
    SSL_CTX_up_ref(current);
    pthread_mutex_unlock(&serving.lock);
    bool taken = SSL_set_SSL_CTX(ssl, current) == current;
    SSL_CTX_free(current); /* the connection has a reference of its own */
    return taken ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
}

void tls_serve(SSL_CTX *context) {
    SSL_CTX_up_ref(context);
    serving.current = context;
    if (SSL_CTX_get_verify_mode(context) != SSL_VERIFY_NONE) {
        serving.client_ca = SSL_CTX_get_cert_store(context);
        X509_STORE_up_ref(serving.client_ca);
        serving.client_names = SSL_dup_CA_list(SSL_CTX_get_client_CA_list(context));
    }
    SSL_CTX_set_client_hello_cb(context, on_hello, NULL);
}

enum status tls_renewed(int certificate, int key, uint32_t minimum, SSL_CTX **context,
                        struct error *error) {
    const struct tls_files files = {certificate, key, -1};
    SSL_CTX *c = NULL;
    enum status status = tls_context(&files, minimum, &c, NULL, error);
    if (status != STATUS_OK)
        return status;
    if (serving.client_ca) {
        STACK_OF(X509_NAME) *names = SSL_dup_CA_list(serving.client_names);
        if (!names) {
            SSL_CTX_free(c);
            return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        }
        X509_STORE_up_ref(serving.client_ca);
        SSL_CTX_set_cert_store(c, serving.client_ca);
        SSL_CTX_set_client_CA_list(c, names);
        SSL_CTX_set_verify(c, SSL_VERIFY_PEER, NULL);
    }
    *context = c;
    return STATUS_OK;
}

void tls_renew(SSL_CTX *context) {
    pthread_mutex_lock(&serving.lock);
    SSL_CTX *before = serving.current;
    serving.current = context;
    pthread_mutex_unlock(&serving.lock);
    SSL_CTX_free(before); /* connections that use it keep it */
}

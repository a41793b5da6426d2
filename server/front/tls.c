#include "server/front/tls.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PEM_MAX (256 * 1024)

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

enum status tls_context(int certificate, int key, SSL_CTX **context, struct error *error) {
    enum status status;
    size_t size = 0;
    char *pem = malloc(PEM_MAX);
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    if (!pem || !c) {
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        goto out;
    }
    SSL_CTX_set_options(c, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                               SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CLEANSE_PLAINTEXT);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_set_min_proto_version(c, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_num_tickets(c, 0) != 1) {
        status = status_fail(error, STATUS_INTERNAL, "this OpenSSL lacks TLS 1.3");
        goto out;
    }
    status = read_pem(certificate, "certificate", pem, &size, error);
    if (status == STATUS_OK)
        status = use_certificate(c, pem, size, error);
    if (status == STATUS_OK)
        status = read_pem(key, "key", pem, &size, error);
    if (status == STATUS_OK)
        status = use_key(c, pem, size, error);
    if (status == STATUS_OK) {
        *context = c;
        c = NULL;
    }
out:
    if (pem)
        explicit_bzero(pem, PEM_MAX);
    free(pem);
    SSL_CTX_free(c);
    return status;
}

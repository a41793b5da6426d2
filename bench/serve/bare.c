/* The ceiling to compare with: CivetWeb over TLS 1.3 with a handler that reads the body and answers
 * with a constant of the size of a small inference answer. No authorisation, no record, no model.
 *
 *   serve-bare PORT THREADS     serves on 127.0.0.1 until its standard input closes */
#include <civetweb.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 197\r\n"
    "Connection: keep-alive\r\n\r\n"
    "{\"model_name\":\"digits\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"scores\","
    "\"datatype\":"
    "\"FP32\",\"shape\":[1,10],\"data\":[0.01,0.02,0.03,0.04,0.05,0.06,0.07,0.08,0.09,0.55]}]}"
    "                                ";

static SSL_CTX *make_context(void) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!key || !certificate || !context)
        return NULL;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    if (X509_sign(certificate, key, EVP_sha256()) <= 0 ||
        SSL_CTX_use_certificate(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey(context, key) != 1 ||
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) != 1)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return context;
}

static int give_context(void **context, void *user_data) {
    (void)user_data;
    *context = make_context();
    return *context ? 1 : -1;
}

static int handle(struct mg_connection *connection) {
    char body[65536];
    while (mg_read(connection, body, sizeof body) > 0)
        continue;
    mg_write(connection, answer, sizeof answer - 1);
    return 200;
}

int main(int argc, char **argv) {
    char port[64], byte;
    if (argc != 3) {
        fprintf(stderr, "usage: serve-bare PORT THREADS\n");
        return 2;
    }
    snprintf(port, sizeof port, "127.0.0.1:%ss", argv[1]);
    const char *options[] = {"listening_ports",
                             port,
                             "num_threads",
                             argv[2],
                             "enable_keep_alive",
                             "yes",
                             "keep_alive_timeout_ms",
                             "15000",
                             "tcp_nodelay",
                             "1",
                             "enable_auth_domain_check",
                             "no",
                             NULL};
    struct mg_callbacks callbacks = {.begin_request = handle, .external_ssl_ctx = give_context};
    mg_init_library(MG_FEATURES_TLS);
    struct mg_context *server = mg_start(&callbacks, NULL, options);
    if (!server) {
        fprintf(stderr, "serve-bare: cannot serve on port %s\n", argv[1]);
        return 1;
    }
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    mg_stop(server);
    return 0;
}

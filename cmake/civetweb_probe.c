/* Does this CivetWeb answer a request over TLS? Used by civetweb.sh at set-up: version 1.15, built
 * for OpenSSL 1.1, crashes here. Certificate and key are made in memory; server and client are two
 * ends of one process. Exit status 0: yes. */
#include <arpa/inet.h>
#include <civetweb.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char answer[] =
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nprobe";

static SSL_CTX *make_context(void) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int ok = key != NULL && certificate != NULL && context != NULL &&
             X509_set_version(certificate, X509_VERSION_3) == 1 &&
             ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1) == 1 &&
             X509_gmtime_adj(X509_getm_notBefore(certificate), 0) != NULL &&
             X509_gmtime_adj(X509_getm_notAfter(certificate), 3600) != NULL &&
             X509_set_pubkey(certificate, key) == 1 &&
             X509_sign(certificate, key, EVP_sha256()) > 0 &&
             SSL_CTX_use_certificate(context, certificate) == 1 &&
             SSL_CTX_use_PrivateKey(context, key) == 1;
    X509_free(certificate);
    EVP_PKEY_free(key);
    if (!ok) {
        SSL_CTX_free(context);
        context = NULL;
    }
    return context;
}

static int give_context(void **context, void *user_data) {
    (void)user_data;
    *context = make_context();
    return *context != NULL ? 1 : -1;
}

static int handle(struct mg_connection *connection) {
    mg_write(connection, answer, sizeof(answer) - 1);
    return 200;
}

static int ask(unsigned short port) {
    static const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    char reply[512];
    int size = 0;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *session = context != NULL ? SSL_new(context) : NULL;
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (session != NULL && client >= 0 &&
        connect(client, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        SSL_set_fd(session, client) == 1 && SSL_connect(session) == 1 &&
        SSL_write(session, request, sizeof(request) - 1) > 0) {
        int n;
        while (size < (int)sizeof(reply) - 1 &&
               (n = SSL_read(session, reply + size, (int)sizeof(reply) - 1 - size)) > 0)
            size += n;
    }
    reply[size] = '\0';
    SSL_free(session);
    SSL_CTX_free(context);
    if (client >= 0)
        close(client);
    return strcmp(reply, answer) == 0;
}

int main(void) {
    const char *options[] = {"listening_ports",          "127.0.0.1:0s", "num_threads", "2",
                             "enable_auth_domain_check", "no",           NULL};
    struct mg_callbacks callbacks = {.begin_request = handle, .external_ssl_ctx = give_context};
    struct mg_server_port port;
    int status = 1;
    mg_init_library(MG_FEATURES_TLS);
    struct mg_context *server = mg_start(&callbacks, NULL, options);
    if (server != NULL && mg_get_server_ports(server, 1, &port) == 1)
        status = ask((unsigned short)port.port) ? 0 : 1;
    if (server != NULL)
        mg_stop(server);
    mg_exit_library();
    printf("civetweb %s: %s\n", mg_version(), status == 0 ? "answers over TLS" : "no answer");
    return status;
}

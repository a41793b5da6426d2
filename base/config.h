/* The server's configuration: one YAML file, read by launch (and by the CLI), checked whole before
 * anything starts. An unknown setting, a wrong type or a value out of range is an error that names
 * the line. What may be left out has the default that stands here.
 *
 * Relative paths are relative to the folder of the file. Values are plain data: a process that
 * gets the struct needs no file. Input: the operator's, but checked like any other. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_PATH_MAX 1024
#define CONFIG_LISTEN_MAX 8
#define CONFIG_ADDRESS_MAX 64
#define CONFIG_BYTES_MAX (64 * 1024)

struct config {
    /* "127.0.0.1:8443", "[::1]:8443"; default: 127.0.0.1:8443 */
    char listen[CONFIG_LISTEN_MAX][CONFIG_ADDRESS_MAX];
    size_t listen_count;
    char data[CONFIG_PATH_MAX];            /* folder of the store; default: the file's folder */
    char tls_certificate[CONFIG_PATH_MAX]; /* PEM chain; default: tls/cert.pem */
    char tls_key[CONFIG_PATH_MAX];         /* PEM; default: tls/key.pem */
    char root_identity[CONFIG_PATH_MAX];   /* age identity file; default: keys/root.txt */
    char signing_key[CONFIG_PATH_MAX];     /* note key sealed to root; default: keys/signing.age */
    uint32_t user_base; /* when started as root, roles run as this uid and those after it;
                           default: 1879048192 */

    struct {
        uint32_t threads;           /* compute threads of a worker; 0: one per CPU. Default 0 */
        uint32_t slots;             /* requests a worker has at once, 1 to 256; default 64 */
        uint32_t memory_mib;        /* address space of a worker, at least 1024 (OpenBLAS
                                       takes 128 for each thread); default 16384 */
        bool allow_unlocked_memory; /* weights in memory that cannot be locked; default false */
    } worker;

    struct {
        uint64_t body_bytes;             /* an inference request; default 64 MiB */
        uint64_t model_bytes;            /* a sealed model; default 4 GiB */
        uint32_t connections;            /* at once, a thread each; default 128 */
        uint32_t connections_per_source; /* at once from one address; default 64 */
        uint32_t request_timeout_ms;     /* headers and body of a request; default 30000 */
        uint32_t deadline_ms;            /* a model's run, at most; default 60000 */
    } limits;
};

/* Parse `size` bytes of YAML; `folder` is what relative paths are relative to (absolute, no
 * trailing slash). STATUS_INVALID with the line and the reason. */
MUST_USE enum status config_parse(const void *bytes, size_t size, const char *folder,
                                  struct config *config, struct error *error);

/* Read and parse a file of at most CONFIG_BYTES_MAX bytes. STATUS_NOT_FOUND where there is none. */
MUST_USE enum status config_load(const char *path, struct config *config, struct error *error);

/* Split "127.0.0.1:8443" or "[::1]:8443" into host (without brackets) and port. */
MUST_USE enum status config_address(const char *address, char *host, size_t host_size,
                                    uint16_t *port, struct error *error);

#endif

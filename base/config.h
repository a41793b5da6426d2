/* The server's configuration: one YAML file, read by launch (and by the CLI), checked whole before
 * anything starts. An unknown setting, a wrong type or a value out of range is an error that names
 * the line. What may be left out has a default.
 *
 * Relative paths are relative to the folder of the file. Values are plain data: a process that
 * gets the struct needs no file. Input: the operator's, but checked like any other. */
#ifndef BASE_CONFIG_H
#define BASE_CONFIG_H

#include "base/config_faults.h"
#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_PATH_MAX 1024
#define CONFIG_LISTEN_MAX 8
#define CONFIG_ADDRESS_MAX 64
#define CONFIG_BYTES_MAX (64 * 1024)
#define CONFIG_NAME_MAX 64
#define CONFIG_CONNECTIONS_MAX 8192

/* What each setting is for, its default and its range: config_settings.c. Paths are absolute. */
struct config {
    char listen[CONFIG_LISTEN_MAX][CONFIG_ADDRESS_MAX];
    size_t listen_count;
    char data[CONFIG_PATH_MAX];
    char tls_certificate[CONFIG_PATH_MAX];
    char tls_key[CONFIG_PATH_MAX];
    char tls_client_ca[CONFIG_PATH_MAX]; /* "": none */
    uint32_t tls_minimum;                /* 12 or 13 */
    char root_identity[CONFIG_PATH_MAX];
    char signing_key[CONFIG_PATH_MAX];
    char admin_socket[CONFIG_PATH_MAX];      /* "": admin.sock in `data` */
    char admin_group[CONFIG_NAME_MAX];       /* "": none */
    char metrics_listen[CONFIG_ADDRESS_MAX]; /* loopback; "": none */
    uint32_t user_base;

    struct {
        bool plain_failures;
    } audit;

    struct {
        uint32_t threads;
        uint32_t slots;
        uint32_t memory_mib;
        bool allow_unlocked_memory;
    } worker;

    struct {
        uint64_t body_bytes;
        uint64_t model_bytes;
        uint64_t memory_bytes; /* at least four of `body_bytes` count */
        uint32_t connections;
        uint32_t connections_per_source; /* never more than `connections` */
        uint32_t failures_per_source;    /* in a minute */
        uint32_t request_timeout_ms;
        uint32_t idle_timeout_ms;
        uint32_t deadline_ms;
    } limits;

    struct {
        uint32_t time_ms;
        uint32_t notice_ms;
    } drain;
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

/* Line of the file at `path` on which a setting ("tls.key") stands, and its column; 0 where it
 * stands in none, or the file cannot be read. */
unsigned config_line(const char *path, const char *setting, unsigned *column);

/* How many faults the text of the file at `path` has, each told to `say` (base/config_faults.h); 0
 * where it cannot be read, which config_load says better. */
size_t config_survey(const char *path, config_fault *say, void *context);

#endif

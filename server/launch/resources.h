/* What launch opens and hands to the roles: sockets that stay open as long as the server runs, and
 * files that are opened anew for every start of a role, so that a renewed certificate is taken.
 *
 * Every check that a person can get wrong is made here, before the first process starts, with a
 * message for the operator (paths are named: these messages go to the server's own log). */
#ifndef SERVER_LAUNCH_RESOURCES_H
#define SERVER_LAUNCH_RESOURCES_H

#include "base/config.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct resources {
    const struct config *config;
    int binary;        /* this program, O_PATH */
    int config_memory; /* sealed memfd with *config */
    int store_folder;
    int admin_folder;                  /* of the admin socket */
    char admin_name[CONFIG_PATH_MAX];  /* in it */
    int admin;                         /* listening there; 0600, or 0660 with admin.group */
    int listeners[CONFIG_LISTEN_MAX];  /* bound and listening */
    int metrics;                       /* the same, on loopback; -1 where none is configured */
    char url[CONFIG_ADDRESS_MAX + 16]; /* of the first listener, with its real port */
    bool root;                         /* roles run as users of their own */
    uid_t store_user;                  /* who owns the store folder */
    gid_t store_group;
};

/* `config` outlives the resources. */
MUST_USE enum status resources_open(const struct config *config, struct resources *resources,
                                    struct error *error);
/* Closes everything and removes the admin socket. Safe on a struct filled with zeros and on NULL.
 */
void resources_close(struct resources *resources);

/* Open one of the operator's files for reading. A `secret` one must be a file that nobody but its
 * owner can read, and the owner this process's user or, where that is root, also the data folder's.
 * `field` is the setting that names it. */
MUST_USE enum status resources_file(const struct config *config, const char *path,
                                    const char *field, bool secret, int *descriptor,
                                    struct error *error);

/* Everything that can be checked without binding a port or starting a process. Each thing that is
 * wrong is told to `say` with the setting it belongs to ("" for the machine); the status is that of
 * the first. With `say` NULL the first ends it. */
typedef void resources_finding(void *context, const char *field, const struct error *error);
MUST_USE enum status resources_check(const struct config *config, resources_finding *say,
                                     void *context, struct error *error);

#endif

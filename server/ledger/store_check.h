/* The store, looked at with the server stopped, for `strongroomd --check`: that it opens, is whole
 * and of a version that this program serves, that every policy is understood and may stand beside
 * the listener, and that every tenant's identity can be opened. Nothing in it is changed.
 *
 * In a process that does nothing else. Messages are for the operator. */
#ifndef SERVER_LEDGER_STORE_CHECK_H
#define SERVER_LEDGER_STORE_CHECK_H

#include "base/buf.h"
#include "base/config.h"
#include "base/message.h"
#include "base/status.h"

#include <stdbool.h>

struct store_check {
    const struct config *config;
    /* Each thing that is wrong. */
    void (*say)(void *context, const struct error *error);
    /* Can this tenant's identity be opened? */
    enum status (*open)(void *context, const char *uid, struct bytes wrapped, struct error *error);
    void *context;
    /* Found: */
    bool running; /* a server has the store, which was not looked at */
    size_t tenants, policies;
    char note[200];     /* what is worth saying and no fault; "" for nothing */
    enum status status; /* of the first thing that is wrong */
};

void store_check_run(struct store_check *check);

#endif

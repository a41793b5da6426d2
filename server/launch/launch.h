/* launch: the parent of all processes. It opens what the others are given, starts them, introduces
 * them to each other, answers the stops of those it traces, starts again what died, and ends them
 * in order. It takes no input from outside: only messages of its children and signals.
 *
 * SIGTERM and SIGINT: front stops taking requests and finishes those it has, then ledger commits
 * and closes the store, then everything ends and launch_main returns 0. A second signal ends
 * everything at once. SIGHUP: the certificate is taken anew, whether it seems to have changed or
 * not. */
#ifndef SERVER_LAUNCH_LAUNCH_H
#define SERVER_LAUNCH_LAUNCH_H

#include "base/config.h"

/* Runs until the server ends; returns the exit status. Called with one thread. */
int launch_main(const struct config *config);

#endif

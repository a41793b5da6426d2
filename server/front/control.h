/* The front's control loop: introductions from launch, payloads from ledger, signatures from
 * workers. Runs in the main thread until DRAIN is done or launch is gone.
 *
 * Threads: one caller. A message that does not decode ends the standing of its sender: a worker is
 * dropped, ledger's socket is closed (launch gives another), and without launch the front ends. */
#ifndef FRONT_CONTROL_H
#define FRONT_CONTROL_H

#include "server/front/front.h"

#include <stdbool.h>

/* The process's exit status. `lock_rings`: whether rings are locked in memory. */
int control_run(struct front *front, int launch, bool lock_rings);

#endif

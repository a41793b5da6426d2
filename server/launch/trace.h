/* Why launch traces: a process has one tracer. Launch attaches to the processes that hold keys and
 * models before they hold anything, so no debugger can attach to them later, not even root's; and
 * with EXITKILL they die with launch. A tracer must answer every stop of its tracee at once, or
 * the tracee hangs: trace_answer does that. */
#ifndef SERVER_LAUNCH_TRACE_H
#define SERVER_LAUNCH_TRACE_H

#include "base/status.h"

#include <sys/types.h>

/* Attach without stopping; new threads of the process are attached by the kernel. */
MUST_USE enum status trace_attach(pid_t pid, struct error *error);

/* Answer a stop (`status` of waitpid for which WIFSTOPPED): the thread goes on, with the signal
 * that it was about to get; a stop of the whole process by SIGSTOP stays one. */
void trace_answer(pid_t thread, int status);

#endif

#include "server/launch/trace.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

enum status trace_attach(pid_t pid, struct error *error) {
    /* Options travel as a pointer-sized number in ptrace's last argument. */
    unsigned long options = PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    if (ptrace(PTRACE_SEIZE, pid, NULL, options) != 0)
        return status_fail(error, STATUS_UNAVAILABLE,
                           "a process that holds keys or models cannot be protected from "
                           "debuggers: attaching to it failed (%s)",
                           strerror(errno));
    return STATUS_OK;
}

void trace_answer(pid_t thread, int status) {
    unsigned event = (unsigned)status >> 16;
    int signal_number = WSTOPSIG(status);
    if (event == PTRACE_EVENT_STOP) {
        if (signal_number == SIGSTOP || signal_number == SIGTSTP || signal_number == SIGTTIN ||
            signal_number == SIGTTOU) {
            ptrace(PTRACE_LISTEN, thread, NULL, NULL);
            return;
        }
        signal_number = 0; /* a new thread, or the end of a stop of the process */
    } else if (event != 0) {
        signal_number = 0; /* a thread was made */
    }
    /* A thread that was killed meanwhile is gone: nothing to do. */
    ptrace(PTRACE_CONT, thread, NULL, (unsigned long)signal_number);
}

/* Telling systemd (Type=notify) that the server is ready or stopping: one datagram to the socket
 * that NOTIFY_SOCKET names (sd_notify(3)), nothing where it names none. */
#ifndef SERVER_LAUNCH_NOTIFY_H
#define SERVER_LAUNCH_NOTIFY_H

void notify_state(const char *state); /* "READY=1", "STOPPING=1" */

#endif

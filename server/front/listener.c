#include "server/front/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define END_STEPS 100 /* of a millisecond, for the accepting thread to take what is there */

/* Those in place; set before anybody could ask for an end. */
static struct {
    int sockets[ROLE_LISTENERS_MAX + 1];
    size_t count;
} serving;

void listener_ports(size_t count, bool plain, char out[LISTENER_PORTS_MAX]) {
    static const char one[] = "127.0.0.1:0s", bare[] = ",127.0.0.1:0";
    size_t at = 0;
    for (size_t i = 0; i < count && i < ROLE_LISTENERS_MAX; i++) {
        if (i)
            out[at++] = ',';
        memcpy(out + at, one, sizeof one - 1);
        at += sizeof one - 1;
    }
    if (plain) {
        memcpy(out + at, bare, sizeof bare - 1);
        at += sizeof bare - 1;
    }
    out[at] = '\0';
}

static bool internet_stream(int descriptor) {
    int domain, type;
    socklen_t size = sizeof domain;
    if (getsockopt(descriptor, SOL_SOCKET, SO_DOMAIN, &domain, &size) != 0 ||
        (domain != AF_INET && domain != AF_INET6))
        return false;
    size = sizeof type;
    return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

void listener_note(struct listener_note *note) {
    memset(note, 0, sizeof *note);
    for (int fd = 0; fd < LISTENER_DESCRIPTORS_MAX; fd++)
        if (internet_stream(fd))
            note->known[fd / 8] |= (unsigned char)(1u << fd % 8);
}

enum status listener_replace(const struct listener_note *note, const int *sockets, size_t count,
                             struct error *error) {
    int places[ROLE_LISTENERS_MAX + 1];
    size_t found = 0;
    for (int fd = 0; fd < LISTENER_DESCRIPTORS_MAX; fd++) {
        if (note->known[fd / 8] >> fd % 8 & 1 || !internet_stream(fd))
            continue;
        if (found == count || found == sizeof places / sizeof *places)
            return status_fail(error, STATUS_INTERNAL, "more sockets than were asked for");
        places[found++] = fd;
    }
    if (found != count)
        return status_fail(error, STATUS_INTERNAL, "fewer sockets than were asked for");
    for (size_t i = 0; i < count; i++) {
        /* Nobody is woken for a connection that sends nothing. */
        int seconds = 5;
        (void)setsockopt(sockets[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
        /* The accepting thread waits on the old socket; ending that makes it look again. It must
         * not block in accept when it does. */
        int flags = fcntl(sockets[i], F_GETFL);
        if (flags < 0 || fcntl(sockets[i], F_SETFL, flags | O_NONBLOCK) != 0)
            return status_fail(error, STATUS_INTERNAL, "a listening socket is unusable");
        (void)shutdown(places[i], SHUT_RDWR);
        if (dup3(sockets[i], places[i], O_CLOEXEC) != places[i])
            return status_fail(error, STATUS_INTERNAL, "a listening socket cannot be put in place");
        close(sockets[i]);
        serving.sockets[i] = places[i];
        serving.count = i + 1;
    }
    return STATUS_OK;
}

void listener_hurry(void) {
    int seconds = 0;
    for (size_t i = 0; i < serving.count; i++)
        (void)setsockopt(serving.sockets[i], IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds,
                         sizeof seconds);
}

void listener_end(void) {
    int quiet = eventfd(0, EFD_CLOEXEC);
    for (size_t i = 0; i < serving.count; i++) {
        struct pollfd p = {.fd = serving.sockets[i], .events = POLLIN};
        const struct timespec step = {.tv_nsec = 1000000};
        for (int n = 0; n < END_STEPS && poll(&p, 1, 0) > 0; n++)
            nanosleep(&step, NULL);
        (void)shutdown(serving.sockets[i], SHUT_RDWR);
        /* The accepting thread would find an ended socket readable, again and again. */
        if (quiet >= 0)
            (void)dup3(quiet, serving.sockets[i], O_CLOEXEC);
    }
    if (quiet >= 0)
        close(quiet);
}

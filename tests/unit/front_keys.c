/* An API key passes through a thread of front on its way to ledger and must not stay there: the
 * stack of a connection's thread lives on for whoever comes next. */
#include "base/message.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define STACK_BYTES (1 << 20)

static const char key[] = "sr_marker_0123456789abcdefghijklmnopqrstuv_ABCDEF";
static int pair[2];

static void *send_key(void *failed) {
    const struct message_admit admit = {.action = ACTION_INFER, .token = bytes_text(key)};
    struct error error = {0};
    *(int *)failed = message_send_admit(pair[0], &admit, NULL, &error) != STATUS_OK;
    return NULL;
}

Test(front_keys, a_key_does_not_stay_on_the_stack) {
    int failed = 1;
    pthread_attr_t attributes;
    pthread_t thread;
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    char *stack = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    cr_assert_neq(stack, MAP_FAILED);
    cr_assert_eq(pthread_attr_init(&attributes), 0);
    cr_assert_eq(pthread_attr_setstack(&attributes, stack, STACK_BYTES), 0);
    cr_assert_eq(pthread_create(&thread, &attributes, send_key, &failed), 0);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(failed, 0);
    char packet[4096];
    ssize_t size = recv(pair[1], packet, sizeof packet, 0);
    cr_assert_gt(size, 0);
    cr_assert_not_null(memmem(packet, (size_t)size, key, sizeof key - 1), "the key was sent");
    cr_assert_null(memmem(stack, STACK_BYTES, key, sizeof key - 1), "the key is still there");
}

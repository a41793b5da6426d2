/* base/mailbox.h: questions and answers between two processes' views of one memory. */
#include "base/mailbox.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct error e;

struct pair {
    struct mailbox *asking, *answering;
    int bell;
};

static struct pair pair_new(void) {
    struct pair p;
    int memory;
    cr_assert_eq(mailbox_new(&p.answering, &memory, &p.bell, &e), STATUS_OK);
    cr_assert_eq(mailbox_attach(memory, dup(p.bell), &p.asking, &e), STATUS_OK);
    close(memory);
    return p;
}

static void pair_free(struct pair *p) {
    mailbox_release(p->asking);
    mailbox_release(p->answering);
    close(p->bell);
}

static size_t put(struct pair *p, uint32_t box, const char *text) {
    memcpy(mailbox_space(p->asking, box), text, strlen(text));
    return strlen(text);
}

Test(mailbox, a_question_is_answered_once_and_leaves_nothing) {
    struct pair p = pair_new();
    char out[MAILBOX_BYTES];
    size_t size;
    uint32_t box = mailbox_claim(p.asking);
    cr_assert_neq(box, MAILBOX_NONE);
    cr_expect_eq(mailbox_next(p.answering), MAILBOX_NONE);
    mailbox_ask(p.asking, box, put(&p, box, "may I?"));
    cr_assert_eq(mailbox_next(p.answering), box);
    cr_expect_eq(mailbox_next(p.answering), MAILBOX_NONE, "asked once");
    cr_assert(mailbox_take(p.answering, box, out, &size));
    cr_expect_eq(size, 6);
    cr_expect_arr_eq(out, "may I?", 6);
    for (size_t i = 0; i < MAILBOX_BYTES; i++)
        cr_assert_eq(mailbox_space(p.asking, box)[i], 0, "the question stays at %zu", i);
    mailbox_answer(p.answering, box, "yes", 3);
    cr_expect_not(mailbox_take(p.answering, box, out, &size), "an answer is no question");
    cr_assert_eq(mailbox_wait(p.asking, box, 1, out, &size, &e), STATUS_OK);
    cr_expect_eq(size, 3);
    cr_expect_arr_eq(out, "yes", 3);
    cr_expect_eq(mailbox_space(p.asking, box)[0], 0, "the answer stays");
    pair_free(&p);
}

Test(mailbox, every_box_is_given_out_once_and_heard) {
    struct pair p = pair_new();
    static bool seen[MAILBOX_BOXES];
    for (uint32_t i = 0; i < MAILBOX_BOXES; i++) {
        uint32_t box = mailbox_claim(p.asking);
        cr_assert_lt(box, MAILBOX_BOXES);
        cr_assert_not(seen[box], "box %u was given twice", box);
        seen[box] = true;
    }
    cr_expect_eq(mailbox_claim(p.asking), MAILBOX_NONE);
    for (uint32_t i = 0; i < MAILBOX_BOXES; i++)
        mailbox_ask(p.asking, i, 1);
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < MAILBOX_BOXES; i++)
        seen[mailbox_next(p.answering)] = true;
    cr_expect_eq(mailbox_next(p.answering), MAILBOX_NONE);
    for (uint32_t i = 0; i < MAILBOX_BOXES; i++)
        cr_expect(seen[i], "box %u was not heard", i);
    pair_free(&p);
}

Test(mailbox, the_bell_rings_for_a_sleeper_only) {
    struct pair p = pair_new();
    struct pollfd bell = {.fd = p.bell, .events = POLLIN};
    uint32_t box = mailbox_claim(p.asking);
    mailbox_ask(p.asking, box, 1);
    cr_expect_eq(poll(&bell, 1, 0), 0, "nobody slept");
    cr_expect_not(mailbox_sleep(p.answering), "a question is there");
    cr_assert_eq(mailbox_next(p.answering), box);
    cr_expect(mailbox_sleep(p.answering));
    mailbox_ask(p.asking, box, 1);
    cr_expect_eq(poll(&bell, 1, 0), 1);
    mailbox_wake(p.answering);
    cr_assert_eq(mailbox_next(p.answering), box);
    pair_free(&p);
}

Test(mailbox, an_overlong_packet_is_refused) {
    struct pair p = pair_new();
    char out[MAILBOX_BYTES];
    size_t size;
    uint32_t box = mailbox_claim(p.asking);
    mailbox_ask(p.asking, box, MAILBOX_BYTES + 1);
    cr_assert_eq(mailbox_next(p.answering), box);
    cr_expect_not(mailbox_take(p.answering, box, out, &size));
    mailbox_answer(p.answering, box, "", 0);
    cr_assert_eq(mailbox_wait(p.asking, box, 1, out, &size, &e), STATUS_OK);
    cr_expect_eq(size, 0);
    pair_free(&p);
}

static void *close_soon(void *mailbox) {
    usleep(50000);
    mailbox_close(mailbox);
    return NULL;
}

Test(mailbox, whoever_waits_is_told_of_the_end, .timeout = 20) {
    struct pair p = pair_new();
    char out[MAILBOX_BYTES];
    size_t size;
    pthread_t thread;
    uint32_t box = mailbox_claim(p.asking);
    mailbox_ask(p.asking, box, put(&p, box, "a key"));
    cr_expect_eq(mailbox_wait(p.asking, box, 1, out, &size, &e), STATUS_DEADLINE);
    cr_expect_eq(mailbox_space(p.asking, box)[0], 0, "an unanswered question stays");
    pthread_create(&thread, NULL, close_soon, p.asking);
    cr_expect_eq(mailbox_wait(p.asking, box, 100, out, &size, &e), STATUS_UNAVAILABLE);
    pthread_join(thread, NULL);
    cr_expect(mailbox_closed(p.asking));
    pair_free(&p);
}

Test(mailbox, memory_of_another_shape_is_refused) {
    struct mailbox *mailbox = NULL;
    int memory = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    cr_assert_eq(ftruncate(memory, 4096), 0);
    cr_expect_eq(mailbox_attach(memory, -1, &mailbox, &e), STATUS_INVALID);
    cr_expect_null(mailbox);
    close(memory);
}

struct asker {
    struct mailbox *mailbox;
    unsigned wrong;
};

/* Every question comes back with its own number: none is lost, doubled or given to another. */
static void *ask_many(void *argument) {
    struct asker *a = argument;
    uint32_t box = mailbox_claim(a->mailbox), number, got;
    uint8_t out[MAILBOX_BYTES];
    size_t size;
    for (number = 0; number < 5000; number++) {
        uint32_t question = number << 8 | (box & 255);
        memcpy(mailbox_space(a->mailbox, box), &question, sizeof question);
        mailbox_ask(a->mailbox, box, sizeof question);
        if (mailbox_wait(a->mailbox, box, 10, out, &size, &e) != STATUS_OK || size != sizeof got ||
            (memcpy(&got, out, sizeof got), got != ~question))
            a->wrong++;
    }
    return NULL;
}

Test(mailbox, many_threads_are_answered_each_its_own, .timeout = 60) {
    struct pair p = pair_new();
    struct asker askers[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        askers[i] = (struct asker){p.asking, 0};
        pthread_create(&threads[i], NULL, ask_many, &askers[i]);
    }
    struct pollfd bell = {.fd = p.bell, .events = POLLIN};
    for (unsigned answered = 0; answered < 8 * 5000;) {
        uint32_t box = mailbox_next(p.answering), question;
        uint8_t out[MAILBOX_BYTES];
        size_t size;
        uint64_t rung;
        if (box != MAILBOX_NONE) {
            cr_assert(mailbox_take(p.answering, box, out, &size));
            memcpy(&question, out, sizeof question);
            question = ~question;
            mailbox_answer(p.answering, box, &question, sizeof question);
            answered++;
        } else if (mailbox_sleep(p.answering)) {
            cr_assert_eq(poll(&bell, 1, 10000), 1, "a question did not ring");
            mailbox_wake(p.answering);
            (void)!read(p.bell, &rung, sizeof rung);
        }
    }
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], NULL);
        cr_expect_eq(askers[i].wrong, 0);
    }
    pair_free(&p);
}

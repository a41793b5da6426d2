/* The parts of the ledger that stand alone: commit groups, the directory of callers, tickets,
 * counts of failed authentications. The whole process is tested from outside (tests/e2e). */
#include "base/message.h"
#include "crypto/apikey.h"
#include "crypto/crypto.h"
#include "server/ledger/boxes.h"
#include "server/ledger/commit.h"
#include "server/ledger/directory.h"
#include "server/ledger/failures.h"
#include "server/ledger/ticket.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static struct error e;

static struct store *memory(void) {
    static const struct store_meta meta = {.uid = "00112233445566778899aabbccddeeff",
                                           .created = 1,
                                           .recipient = "age1root",
                                           .verifier = "test+00000000+key"};
    struct store *store = NULL;
    cr_assert_eq(crypto_init(&e), STATUS_OK);
    cr_assert_eq(store_open_memory(&meta, &store, &e), STATUS_OK, "%s", e.message);
    return store;
}

static struct store_tenant tenant_of(struct store *store, const char *uid, const char *name) {
    struct store_tenant t = {.state = STORE_TENANT_ENABLED, .created = 1, .wrapped_size = 1};
    snprintf(t.uid, sizeof t.uid, "%s", uid);
    snprintf(t.name, sizeof t.name, "%s", name);
    snprintf(t.recipient, sizeof t.recipient, "age1tenant%s", name);
    snprintf(t.note, sizeof t.note, "note\n");
    cr_assert_eq(store_tenant_create(store, &t, NULL, &e), STATUS_OK, "%s", e.message);
    return t;
}

#define UID "0123456789abcdef0123456789abcdef"

static enum status settled(int socket, uint64_t ticket, uint64_t *sequence) {
    uint8_t buffer[MESSAGE_SMALL_MAX];
    struct message m;
    struct pollfd p = {.fd = socket, .events = POLLIN};
    cr_assert_eq(poll(&p, 1, 10000), 1, "nothing came");
    cr_assert_eq(message_receive(socket, ROLE_LEDGER, ROLE_FRONT, buffer, sizeof buffer, &m, &e),
                 STATUS_OK, "%s", e.message);
    cr_assert_eq(m.type, MESSAGE_SETTLED);
    cr_expect_eq(m.settled.ticket, ticket);
    *sequence = m.settled.sequence;
    return (enum status)m.settled.status;
}

Test(commit, an_answer_follows_its_durable_record) {
    struct store *store = memory();
    struct commit *commit;
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    cr_assert_eq(commit_start(store, eventfd(0, 0), &commit, &e), STATUS_OK);
    struct link *reply = link_new(LINK_CHANNEL, pair[0], NULL);
    for (uint64_t i = 0; i < 1000; i++) {
        struct commit_record r = {.time = 5,
                                  .tenant = UID,
                                  .action = "model.infer",
                                  .outcome = status_name(STATUS_OK),
                                  .reply = reply,
                                  .ticket = i};
        snprintf(r.target, sizeof r.target, "m/%d", (int)i);
        cr_assert(commit_append(commit, &r));
        uint64_t sequence, size = 0;
        cr_assert_eq(commit_pace(commit, 0), -1);
        if (i % 10 == 9) /* ten at a time: the order is kept inside a group */
            for (uint64_t k = i - 9; k <= i; k++) {
                cr_expect_eq(settled(pair[1], k, &sequence), STATUS_OK);
                cr_expect_eq(sequence, k);
                cr_assert_eq(store_audit_size(store, &size, &e), STATUS_OK);
                cr_expect_gt(size, sequence, "answered before it was written");
            }
    }
    link_release(reply);
    commit_stop(commit);
    store_close(store);
}

Test(commit, a_group_gathers_while_more_are_to_be_expected) {
    struct store *store = memory();
    struct commit *commit;
    struct commit_record r = {
        .time = 5, .tenant = UID, .action = "model.infer", .outcome = status_name(STATUS_OK)};
    uint64_t size = 0;
    cr_assert_eq(commit_start(store, eventfd(0, 0), &commit, &e), STATUS_OK);
    cr_assert(commit_append(commit, &r));
    cr_expect_eq(commit_pace(commit, 1000), -1, "one that comes alone does not wait");
    while (size < 1)
        cr_assert_eq(store_audit_size(store, &size, &e), STATUS_OK);
    int64_t left = -1;
    uint64_t appended = 1;
    for (int i = 0; i < 1000 && left < 0; i++) {
        for (int k = 0; k < 50; k++, appended++) {
            cr_assert(commit_append(commit, &r));
            left = commit_pace(commit, 100000);
            cr_expect_leq(left, 2000);
        }
        while (left < 0 && size < appended)
            cr_assert_eq(store_audit_size(store, &size, &e), STATUS_OK);
    }
    cr_expect_geq(left, 0, "records that come fast gather");
    while (left >= 0)
        left = commit_pace(commit, 100000);
    for (size = 0; size < appended;)
        cr_assert_eq(store_audit_size(store, &size, &e), STATUS_OK);
    commit_stop(commit);
    store_close(store);
}

Test(commit, nothing_is_settled_when_the_log_cannot_be_written) {
    struct store *store = memory(), *reader;
    struct commit *commit;
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    cr_assert_eq(store_open_reader(store, &reader, &e), STATUS_OK);
    /* A handle that refuses every write stands in for a disk that does. */
    cr_assert_eq(commit_start(reader, eventfd(0, 0), &commit, &e), STATUS_OK);
    struct link *reply = link_new(LINK_CHANNEL, pair[0], NULL);
    struct commit_record r = {.time = 5,
                              .tenant = UID,
                              .action = "model.infer",
                              .outcome = status_name(STATUS_OK),
                              .target = "m/1",
                              .reply = reply,
                              .ticket = 7};
    uint64_t sequence;
    cr_assert(commit_append(commit, &r));
    cr_assert_eq(commit_pace(commit, 0), -1);
    cr_expect_eq(settled(pair[1], 7, &sequence), STATUS_UNAVAILABLE);
    r.answer = commit_answer_new(false, STATUS_NOT_FOUND, "secret reason", NULL, 0);
    cr_assert(commit_append(commit, &r));
    cr_assert_eq(commit_pace(commit, 0), -1);
    uint8_t buffer[MESSAGE_SMALL_MAX];
    struct message m;
    cr_assert_eq(message_receive(pair[1], ROLE_LEDGER, ROLE_FRONT, buffer, sizeof buffer, &m, &e),
                 STATUS_OK);
    cr_assert_eq(m.type, MESSAGE_REFUSED);
    cr_expect_eq(m.refused.status, STATUS_UNAVAILABLE, "an unrecorded refusal leaves too");
    link_release(reply);
    commit_stop(commit);
    store_close(reader);
    store_close(store);
}

Test(directory, knows_keys_until_they_are_revoked) {
    struct store *store = memory(), *reader;
    struct store_tenant tenant = tenant_of(store, UID, "acme");
    struct directory *directory;
    struct directory_caller caller = {0};
    struct apikey secret, other;
    char text[APIKEY_SIZE], unknown[APIKEY_SIZE];
    cr_assert_eq(store_open_reader(store, &reader, &e), STATUS_OK);
    cr_assert_eq(directory_new(reader, &directory, &e), STATUS_OK);
    apikey_generate(&secret, text);
    apikey_generate(&other, unknown);
    struct store_key key = {
        .tenant = tenant.id, .scopes = SCOPE_INFER, .created = 1, .expires = 1000};
    snprintf(key.id, sizeof key.id, "%s", secret.id);
    apikey_hash(&secret, key.hash);
    cr_assert_eq(store_key_create(store, &key, NULL, &e), STATUS_OK, "%s", e.message);

    cr_expect_eq(directory_authenticate(directory, bytes_text(text), 10, &caller, &e), STATUS_OK);
    cr_expect_str_eq(caller.tenant_uid, UID);
    cr_expect_eq(caller.scopes, SCOPE_INFER);
    const char *bad[] = {"", "sr_", unknown, "Bearer"};
    struct error first = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_expect_eq(directory_authenticate(directory, bytes_text(bad[i]), 10, &caller, &e),
                     STATUS_UNAUTHENTICATED);
        if (!i)
            first = e;
        cr_expect_str_eq(e.message, first.message, "the reason shows");
    }
    cr_expect_eq(directory_authenticate(directory, bytes_text(text), 1000, &caller, &e),
                 STATUS_UNAUTHENTICATED, "expired");
    cr_assert_eq(store_key_revoke(store, key.id, 20, NULL, &e), STATUS_OK);
    directory_changed(directory);
    cr_expect_eq(directory_authenticate(directory, bytes_text(text), 10, &caller, &e),
                 STATUS_UNAUTHENTICATED, "revoked");
    directory_free(directory);
    store_close(reader);
    store_close(store);
}

Test(directory, an_operators_key_speaks_for_no_tenant) {
    struct store *store = memory(), *reader;
    struct directory *directory;
    struct directory_caller caller = {0};
    struct apikey secret;
    char text[APIKEY_SIZE];
    uint32_t scopes = 0;
    cr_assert_eq(store_open_reader(store, &reader, &e), STATUS_OK);
    cr_assert_eq(directory_new(reader, &directory, &e), STATUS_OK);
    apikey_generate(&secret, text);
    struct store_key key = {.scopes = SCOPE_METRICS, .created = 1, .expires = 1000};
    snprintf(key.id, sizeof key.id, "%s", secret.id);
    apikey_hash(&secret, key.hash);
    cr_assert_eq(store_key_create(store, &key, NULL, &e), STATUS_OK, "%s", e.message);

    cr_expect_eq(directory_authenticate(directory, bytes_text(text), 10, &caller, &e), STATUS_OK);
    cr_expect(caller.is_operator);
    cr_expect_eq(caller.tenant, 0);
    cr_expect_str_eq(caller.tenant_uid, "");
    cr_expect_eq(caller.scopes, SCOPE_METRICS);
    cr_expect_eq(directory_operator(directory, key.id, 10, &scopes, &e), STATUS_OK);
    cr_expect_eq(scopes, SCOPE_METRICS);
    cr_expect_eq(directory_operator(directory, key.id, 1000, &scopes, &e), STATUS_UNAUTHENTICATED);
    cr_expect_eq(directory_authenticate(directory, bytes_text(text), 1000, &caller, &e),
                 STATUS_UNAUTHENTICATED);
    cr_assert_eq(store_key_revoke(store, key.id, 20, NULL, &e), STATUS_OK);
    directory_changed(directory);
    cr_expect_eq(directory_operator(directory, key.id, 30, &scopes, &e), STATUS_UNAUTHENTICATED);
    directory_free(directory);
    store_close(reader);
    store_close(store);
}

Test(directory, a_model_is_its_tenants_alone) {
    struct store *store = memory(), *reader;
    struct store_tenant acme = tenant_of(store, UID, "acme");
    struct store_tenant globex = tenant_of(store, "fedcba9876543210fedcba9876543210", "globex");
    struct directory *directory;
    struct store_model model;
    cr_assert_eq(store_open_reader(store, &reader, &e), STATUS_OK);
    cr_assert_eq(directory_new(reader, &directory, &e), STATUS_OK);
    cr_assert_eq(store_model_create(store, acme.id, "m", "1", 5, &model, NULL, &e), STATUS_OK);
    directory_changed(directory);
    for (int again = 0; again < 2; again++) {
        cr_expect_eq(directory_model(directory, acme.id, "m", "1", &model, &e), STATUS_OK);
        cr_expect_eq(directory_model(directory, acme.id, "m", "", &model, &e), STATUS_OK);
        cr_expect_eq(directory_model(directory, globex.id, "m", "1", &model, &e), STATUS_NOT_FOUND);
        cr_expect_str_eq(e.message, "model \"m\" version \"1\" is not found");
    }
    cr_assert_eq(store_model_delete(store, model.id, NULL, &e), STATUS_OK);
    directory_changed(directory);
    cr_expect_eq(directory_model(directory, acme.id, "m", "1", &model, &e), STATUS_NOT_FOUND);
    directory_free(directory);
    store_close(reader);
    store_close(store);
}

Test(ticket, a_number_is_used_once_and_by_its_channel) {
    struct ticket_table *table;
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    struct link *one = link_new(LINK_CHANNEL, pair[0], NULL);
    struct link *two = link_new(LINK_CHANNEL, pair[1], NULL);
    cr_assert_eq(ticket_table_new(&table, &e), STATUS_OK);
    struct ticket *ticket = ticket_open(table, one);
    uint64_t number = ticket->number;
    cr_expect_eq(ticket_find(table, number, one), ticket);
    cr_expect_null(ticket_find(table, number, two), "another channel's");
    ticket_close(table, ticket);
    cr_expect_null(ticket_find(table, number, one), "ended");
    ticket = ticket_open(table, one);
    cr_expect_neq(ticket->number, number);
    ticket_close(table, ticket);
    for (uint32_t i = 0; i < TICKETS_MAX; i++)
        cr_assert(ticket_open(table, one));
    cr_expect_null(ticket_open(table, one), "all are in use");
    cr_expect_eq(ticket_count(table), TICKETS_MAX);
    for (uint32_t position = 0; (ticket = ticket_next(table, &position));)
        ticket_close(table, ticket);
    ticket_table_free(table);
    link_release(one);
    link_release(two);
}

Test(failures, are_counted_per_source_and_recorded_as_counts) {
    struct store *store = memory();
    struct commit *commit;
    struct failures *failures;
    uint64_t count = 0;
    cr_assert_eq(commit_start(store, eventfd(0, 0), &commit, &e), STATUS_OK);
    cr_assert_eq(failures_new(&failures, &e), STATUS_OK);
    struct policy_gate *gate = calloc(1, sizeof *gate);
    cr_assert_not_null(gate);
    failures_flush(failures, commit, gate, 1000, false);
    for (int i = 0; i < 500; i++)
        failures_count(failures, bytes_text("192.0.2.1"), i % 5 == 0);
    char source[32];
    for (int i = 0; i < 1000; i++) {
        snprintf(source, sizeof source, "198.51.100.%d/%d", i % 256, i);
        failures_count(failures, bytes_text(source), false);
    }
    failures_flush(failures, commit, gate, 2000, false);
    cr_assert_eq(store_audit_count(store, NULL, &count, &e), STATUS_OK);
    cr_expect_eq(count, 0, "the minute is not over");
    failures_flush(failures, commit, gate, 1000 + 60000000, false);
    failures_free(failures);
    free(gate);
    commit_stop(commit);
    cr_assert_eq(store_audit_count(store, NULL, &count, &e), STATUS_OK);
    cr_expect_eq(count, 258,
                 "256 sources, one of them of both kinds, and the others together, not 1,500 "
                 "records");
    store_close(store);
}

/* A front that was broken into marks boxes without questions as fast as it can. */
Test(boxes, marks_for_nothing_leave_the_loop_its_turn) {
    struct boxes *boxes;
    struct mailbox *asking;
    struct message message;
    int pair[2], bell;
    unsigned turns = 0;
    size_t size;
    static uint8_t buffer[MESSAGE_SMALL_MAX];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    struct link *front = link_new(LINK_FRONT, pair[0], NULL);
    cr_assert_eq(boxes_new(&boxes, &e), STATUS_OK);
    cr_assert_eq(boxes_open(boxes, front, &bell, &e), STATUS_OK, "%s", e.message);
    cr_assert_eq(
        message_receive(pair[1], ROLE_LEDGER, ROLE_FRONT, buffer, sizeof buffer, &message, &e),
        STATUS_OK, "%s", e.message);
    cr_assert_eq(mailbox_attach(message.descriptors[0], -1, &asking, &e), STATUS_OK);
    for (uint32_t box = 0; box < MAILBOX_BOXES; box++)
        mailbox_again(asking, box);
    do
        cr_expect_null(boxes_next(boxes, buffer, &size));
    while (++turns < MAILBOX_BOXES && !boxes_sleep(boxes));
    cr_expect_gt(turns, 8, "one turn of the loop looked at all of them");
    cr_expect_lt(turns, MAILBOX_BOXES, "and none is looked at for ever");
    mailbox_release(asking);
    message_close_descriptors(&message);
    boxes_free(boxes);
    link_release(front);
    close(pair[1]);
    close(bell);
}

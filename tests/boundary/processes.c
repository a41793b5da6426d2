/* Processes of a running server: what each may reach, and what happens when one dies. */
#include "base/recipient_text.h"
#include "crypto/secret.h"
#include "tests/boundary/server.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static struct server s;

static void set_up(void) {
    server_prepare(&s);
}
static void tear_down(void) {
    server_remove(&s);
}
TestSuite(boundary, .init = set_up, .fini = tear_down, .timeout = 90);

static void start_worker(const char *tenant) {
    const char *answer = server_ask(&s, "start %s", tenant);
    cr_assert(strncmp(answer, "worker ", 7) == 0, "%s\n%s", answer, s.text);
}

/* The commitment that a first load reports. */
static void load_first(const char *model, char commitment[65]) {
    unsigned status;
    const char *answer = server_ask(&s, "load %s 1 1 header-%s payload-%s wrapped-acme -",
                                    SERVER_ACME, model, model);
    cr_assert_eq(sscanf(answer, "loaded %u %64s", &status, commitment), 2, "%s", answer);
    cr_assert_eq(status, STATUS_OK, "%s\n%s", answer, s.text);
    cr_assert_eq(strlen(commitment), 64);
}

Test(boundary, a_model_is_opened_and_answers) {
    char commitment[65];
    server_start(&s);
    start_worker(SERVER_ACME);
    load_first("a", commitment);
    server_log_has(&s, 0,
                   "signature {\"platform\":\"onnx_onnxv1\",\"inputs\":[{\"name\":\"x\","
                   "\"datatype\":\"FP32\",\"shape\":[1024]}],\"outputs\":[{\"name\":\"y\","
                   "\"datatype\":\"FP32\",\"shape\":[1024]}]}");
    float first;
    char expected[128];
    memcpy(&first, SERVER_MARKER, sizeof first);
    snprintf(expected, sizeof expected, "answer status=0/0 outputs=1 rank=1 dim=1024 first=%g",
             (double)(first + 1));
    server_log_has(&s, 0, expected);
    cr_assert_str_eq(server_ask(&s, "unload %s 1", SERVER_ACME), "ok");
    const char *again =
        server_ask(&s, "load %s 2 2 header-a payload-a wrapped-acme %s", SERVER_ACME, commitment);
    cr_assert(strncmp(again, "loaded 0 ", 9) == 0, "%s", again);
    cr_assert_eq(server_stop(&s), 0, "%s", s.text);
}

Test(boundary, another_model_in_its_place_is_refused) {
    char commitment[65];
    server_start(&s);
    start_worker(SERVER_ACME);
    load_first("a", commitment);
    /* Sealed to the same tenant, good in itself, but not what was uploaded. */
    const char *answer =
        server_ask(&s, "load %s 2 2 header-b payload-b wrapped-acme %s", SERVER_ACME, commitment);
    char expected[128];
    snprintf(expected, sizeof expected, "loaded %d - 0 the stored model is not the one",
             STATUS_CONFLICT);
    cr_assert(strncmp(answer, expected, strlen(expected)) == 0, "%s", answer);
    /* The payload of another under this header: does not verify. */
    answer = server_ask(&s, "load %s 3 3 header-a payload-b wrapped-acme -", SERVER_ACME);
    snprintf(expected, sizeof expected, "loaded %d ", STATUS_INVALID);
    cr_assert(strncmp(answer, expected, strlen(expected)) == 0, "%s", answer);
}

Test(boundary, an_altered_or_cut_payload_is_refused) {
    uint8_t *payload;
    char expected[32];
    server_start(&s);
    start_worker(SERVER_ACME);
    size_t size = server_read(&s, "payload-a", &payload);
    snprintf(expected, sizeof expected, "loaded %d ", STATUS_INVALID);
    const size_t places[] = {0, 15, 16, size / 2, size - 1};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        payload[places[i]] ^= 1;
        server_file(&s, "payload-x", payload, size);
        payload[places[i]] ^= 1;
        const char *answer =
            server_ask(&s, "load %s %zu 9 header-a payload-x wrapped-acme -", SERVER_ACME, 10 + i);
        cr_assert(strncmp(answer, expected, strlen(expected)) == 0, "byte %zu: %s", places[i],
                  answer);
    }
    server_file(&s, "payload-x", payload, size - 1);
    const char *answer =
        server_ask(&s, "load %s 30 9 header-a payload-x wrapped-acme -", SERVER_ACME);
    cr_assert(strncmp(answer, expected, strlen(expected)) == 0, "%s", answer);
    free(payload);
}

Test(boundary, keeper_opens_for_the_tenant_of_the_socket_only) {
    char expected[160];
    server_start(&s);
    start_worker(SERVER_ACME);
    snprintf(expected, sizeof expected, "loaded %d - 0 the identity belongs to another tenant",
             STATUS_FORBIDDEN);
    const char *answer =
        server_ask(&s, "load %s 1 1 header-g payload-g wrapped-globex -", SERVER_ACME);
    cr_assert_str_eq(answer, expected);
    server_log_has(&s, 0,
                   "refused to open a model: the identity belongs to another tenant "
                   "tenant=" SERVER_ACME);
    /* The right identity does not open what is sealed to another. */
    answer = server_ask(&s, "load %s 2 1 header-g payload-g wrapped-acme -", SERVER_ACME);
    snprintf(expected, sizeof expected, "loaded %d - 0 the model is not sealed to this tenant",
             STATUS_UNSERVABLE);
    cr_assert(strncmp(answer, expected, strlen(expected)) == 0, "%s", answer);
    /* The same files are good on the other tenant's socket. */
    start_worker(SERVER_GLOBEX);
    answer = server_ask(&s, "load %s 3 1 header-g payload-g wrapped-globex -", SERVER_GLOBEX);
    cr_assert(strncmp(answer, "loaded 0 ", 9) == 0, "%s", answer);
}

Test(boundary, keeper_signs_only_the_recipient_that_is_sealed) {
    char acme[AGE_X25519_RECIPIENT_SIZE], globex[AGE_X25519_RECIPIENT_SIZE], expected[64];
    struct error error;
    size_t length;
    server_start(&s);
    age_x25519_recipient_format(&s.acme->recipient, acme);
    age_x25519_recipient_format(&s.globex->recipient, globex);
    char *answer = strdup(server_ask(&s, "sign %s acme %s wrapped-acme", SERVER_ACME, acme));
    cr_assert(strncmp(answer, "signed 0 ", 9) == 0, "%s", answer);
    char *note = answer + 9;
    for (char *c = note; *c; c++)
        if (*c == '|')
            *c = '\n';
    cr_assert_eq(note_verify(&s.verifier, note, strlen(note), &length, &error), STATUS_OK);
    struct recipient_text parts;
    cr_assert_eq(recipient_text_parse(bytes_of(note, length), &parts, &error), STATUS_OK);
    cr_assert_eq(memcmp(parts.recipient.data, acme, parts.recipient.size), 0);
    free(answer);
    snprintf(expected, sizeof expected, "signed %d ", STATUS_FORBIDDEN);
    const char *refused = server_ask(&s, "sign %s acme %s wrapped-acme", SERVER_ACME, globex);
    cr_assert(strncmp(refused, expected, strlen(expected)) == 0, "%s", refused);
    refused = server_ask(&s, "sign %s acme %s wrapped-acme", SERVER_GLOBEX, acme);
    cr_assert(strncmp(refused, expected, strlen(expected)) == 0, "%s", refused);
    refused = server_ask(&s, "sign %s globex %s wrapped-acme", SERVER_ACME, acme);
    cr_assert(strncmp(refused, expected, strlen(expected)) == 0, "another name: %s", refused);
    cr_assert(strstr(refused, "another name"), "%s", refused);
    refused = server_ask(&s, "sign %s acme %s wrapped-nameless", SERVER_ACME, acme);
    cr_assert(strncmp(refused, expected, strlen(expected)) == 0, "no name: %s", refused);
    cr_assert(strstr(refused, "holds no name"), "%s", refused);
}

Test(boundary, front_can_make_no_file_longer_than_a_model) {
    server_start(&s);
    server_log_has(&s, 0, "fixture: a file of the limit fits, one byte more is refused");
    cr_assert_eq(server_stop(&s), 0, "%s", s.text);
}

Test(boundary, nonsense_costs_the_socket) {
    server_start(&s);
    start_worker(SERVER_ACME);
    cr_assert_str_eq(server_ask(&s, "garbage worker %s", SERVER_ACME), "closed");
    cr_assert_str_eq(server_ask(&s, "garbage keeper %s", SERVER_ACME), "closed");
    server_log_has(&s, 0, "a malformed message: its socket is closed from=ledger");
}

/* --- what each process has open --------------------------------------------------------------- */

struct opened {
    unsigned null, pipes, sockets, others;
    char other[256];
};

static struct opened open_descriptors(pid_t pid) {
    struct opened found = {0};
    char path[64], target[256];
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *folder = opendir(path);
    if (!folder)
        cr_skip_test("only root can list the descriptors of a process that is not dumpable");
    for (struct dirent *entry; (entry = readdir(folder));) {
        ssize_t n = readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        if (strcmp(target, "/dev/null") == 0)
            found.null++;
        else if (strncmp(target, "socket:", 7) == 0)
            found.sockets++;
        else if (strncmp(target, "pipe:", 5) == 0)
            found.pipes++; /* the log, here */
        else {
            found.others++;
            snprintf(found.other, sizeof found.other, "%s", target);
        }
    }
    closedir(folder);
    return found;
}

Test(boundary, descriptors) {
    char commitment[65];
    server_start(&s);
    start_worker(SERVER_ACME);
    load_first("a", commitment);
    struct opened keeper = open_descriptors(server_pid(&s, "keeper"));
    struct opened worker = open_descriptors(server_pid(&s, "worker"));
    struct opened ledger = open_descriptors(server_pid(&s, "ledger"));
    cr_assert_eq(keeper.null, 2);
    cr_assert_eq(keeper.pipes, 1);
    cr_assert_eq(keeper.sockets, 3, "launch, ledger, worker: found %u", keeper.sockets);
    cr_assert_eq(keeper.others, 0, "%s", keeper.other);
    cr_assert_eq(worker.null, 2);
    cr_assert_eq(worker.pipes, 1);
    cr_assert_eq(worker.sockets, 4, "launch, keeper, ledger, front: found %u", worker.sockets);
    cr_assert_eq(worker.others, 0, "the ring, payload and secret memory are closed: %s",
                 worker.other);
    cr_assert_eq(ledger.others, 1, "the store folder alone: %s", ledger.other);
    cr_assert_str_eq(ledger.other, s.folder);
}

/* --- weights in memory ------------------------------------------------------------------------ */

/* How often the bytes stand in what /proc/PID/mem gives of a process; -1 where it gives nothing. */
static long marker_count(pid_t pid, const char *marker, unsigned *unreadable) {
    char path[64], line[512];
    long count = 0;
    size_t size = strlen(marker);
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "r");
    if (memory < 0 || !maps)
        return -1;
    *unreadable = 0;
    while (fgets(line, sizeof line, maps)) {
        unsigned long from, to;
        char rights[5];
        if (sscanf(line, "%lx-%lx %4s", &from, &to, rights) != 3 || rights[0] != 'r')
            continue;
        bool secret = strstr(line, "secretmem") != NULL;
        size_t step = 1 << 20;
        char *bytes = malloc(step + size);
        for (unsigned long at = from; at < to; at += step) {
            size_t want = to - at < step + size ? to - at : step + size;
            ssize_t n = pread(memory, bytes, want, (off_t)at);
            if (secret) {
                const struct iovec here = {bytes, want}, there = {(void *)at, want};
                *unreadable += n <= 0 && process_vm_readv(pid, &here, 1, &there, 1, 0) <= 0;
            }
            if (n <= 0)
                continue;
            for (char *p = bytes; (p = memmem(p, (size_t)(bytes + n - p), marker, size)); p++)
                count++;
        }
        free(bytes);
    }
    fclose(maps);
    close(memory);
    return count;
}

Test(boundary, weights_cannot_be_read_from_outside) {
    char commitment[65];
    unsigned unreadable = 0;
    struct secret_probe offers;
    secret_probe(&offers);
    if (!offers.memfd_secret)
        cr_skip_test("this kernel has no memfd_secret: root can read locked memory");
    server_start(&s);
    start_worker(SERVER_ACME);
    load_first("a", commitment);
    server_log_has(&s, 0, "answer status=0/0");
    usleep(300000); /* the slot is wiped after the answer was looked at */
    pid_t worker = server_pid(&s, "worker");
    long found = marker_count(worker, SERVER_MARKER, &unreadable);
    if (geteuid() == 0) {
        cr_assert_eq(found, 0, "weights stand %ld times in readable memory", found);
        cr_assert_gt(unreadable, 0, "there is no secret memory in the worker");
        /* The scan does find what is there: our own copy, in our own memory. */
        char copy[] = SERVER_MARKER;
        unsigned none;
        cr_assert_gt(marker_count(getpid(), copy, &none), 0);
    } else {
        cr_assert_eq(found, -1);
    }
}

Test(boundary, nobody_else_can_attach) {
    server_start(&s);
    start_worker(SERVER_ACME);
    const char *roles[] = {"worker", "keeper"};
    for (size_t i = 0; i < 2; i++) {
        pid_t pid = server_pid(&s, roles[i]);
        cr_assert_eq(ptrace(PTRACE_SEIZE, pid, NULL, NULL), -1);
        cr_assert_eq(errno, EPERM);
        cr_assert_eq(ptrace(PTRACE_ATTACH, pid, NULL, NULL), -1);
    }
}

static char state_of(pid_t pid) {
    char path[64], text[512], state = '?';
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    close(fd);
    if (n > 0) {
        text[n] = '\0';
        state = strrchr(text, ')')[2];
    }
    return state;
}

/* A tracer that answers a stop wrongly leaves the process hanging, or makes it run on. */
Test(boundary, a_stopped_worker_stays_stopped_and_goes_on) {
    char commitment[65];
    server_start(&s);
    start_worker(SERVER_ACME);
    pid_t worker = server_pid(&s, "worker");
    kill(worker, SIGSTOP);
    usleep(200000);
    cr_assert(state_of(worker) == 'T' || state_of(worker) == 't', "%c", state_of(worker));
    kill(worker, SIGCONT);
    load_first("a", commitment);
    server_log_has(&s, 0, "answer status=0/0");
}

/* --- deaths ----------------------------------------------------------------------------------- */

Test(boundary, a_dead_worker_is_announced_and_waits_longer_each_time) {
    unsigned number, gone, retry;
    server_start(&s);
    for (unsigned pause = 100; pause <= 400; pause *= 2) {
        const char *answer = server_ask(&s, "start %s", SERVER_ACME);
        cr_assert_eq(sscanf(answer, "worker %u", &number), 1, "%s", answer);
        kill(server_pid(&s, "worker"), SIGKILL);
        answer = server_ask(&s, "gone");
        cr_assert_eq(sscanf(answer, "gone %u %u", &gone, &retry), 2, "%s", answer);
        cr_assert_eq(gone, number);
        cr_assert_eq(retry, pause);
    }
    /* Ledger stops one that hangs: a model that always hangs gets no better treatment. */
    start_worker(SERVER_ACME);
    cr_assert_str_eq(server_ask(&s, "stop %s", SERVER_ACME), "ok");
    cr_assert_eq(sscanf(server_ask(&s, "gone"), "gone %u %u", &gone, &retry), 2);
    cr_assert_eq(retry, 800);
}

Test(boundary, models_survive_keeper_and_front) {
    char commitment[65];
    server_start(&s);
    start_worker(SERVER_ACME);
    load_first("a", commitment);
    pid_t worker = server_pid(&s, "worker");
    size_t at = s.size;
    kill(server_pid(&s, "keeper"), SIGKILL);
    at = server_log_has(&s, at, "ready role=keeper");
    const char *answer =
        server_ask(&s, "load %s 2 2 header-b payload-b wrapped-acme -", SERVER_ACME);
    cr_assert(strncmp(answer, "loaded 0 ", 9) == 0, "%s\n%s", answer, s.text);
    server_log_has(&s, at, "answer status=0/0");
    at = s.size;
    kill(server_pid(&s, "front"), SIGKILL);
    at = server_log_has(&s, at, "ready role=front");
    /* Both models tell the new front their signatures, and answer through the new ring. */
    at = server_log_has(&s, at, "answer status=0/0");
    server_log_has(&s, at, "answer status=0/0");
    cr_assert_eq(server_pid(&s, "worker"), worker);
    cr_assert_eq(kill(worker, 0), 0);
}

/* Launch is held up, so no front comes after the one that dies: as if a living front had dropped
 * the worker, which must then not stay for ever with nobody to ask it. */
Test(boundary, a_worker_that_has_no_front_any_more_ends) {
    char commitment[65];
    server_start(&s);
    start_worker(SERVER_ACME);
    load_first("a", commitment);
    server_log_has(&s, 0, "answer status=0/0");
    usleep(500000); /* it is at rest: its threads are made, launch has let all of them go on */
    pid_t worker = server_pid(&s, "worker");
    kill(s.pid, SIGSTOP);
    kill(server_pid(&s, "front"), SIGKILL);
    usleep(5000000);
    cr_expect_neq(state_of(worker), 'Z', "it waits for the next front");
    for (int i = 0; i < 150 && state_of(worker) != 'Z'; i++)
        usleep(100000);
    cr_expect_eq(state_of(worker), 'Z', "%c", state_of(worker));
    kill(s.pid, SIGCONT);
    server_log_has(&s, 0, "front has closed its socket and none came after it");
    server_log_has(&s, 0, "died role=worker");
}

Test(boundary, workers_end_with_the_ledger) {
    server_start(&s);
    start_worker(SERVER_ACME);
    size_t at = s.size;
    kill(server_pid(&s, "ledger"), SIGKILL);
    server_log_has(&s, at, "ended role=worker");
    server_log_has(&s, at, "ready role=ledger");
    cr_assert_eq(server_stop(&s), 0, "%s", s.text);
}

Test(boundary, all_die_with_launch) {
    server_start(&s);
    start_worker(SERVER_ACME);
    kill(s.pid, SIGKILL);
    int left = 0;
    for (int i = 0; i < 250 && !left; i++) {
        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
            ;
        left = waitpid(-1, NULL, WNOHANG | __WALL) < 0;
        usleep(20000);
    }
    cr_assert(left, "a process outlived launch");
    s.pid = 0;
}

Test(boundary, a_wrong_root_is_an_error_at_the_start) {
    uint8_t text[1024];
    struct buf out = buf_of(text, sizeof text);
    age_keyfile_write(&out, s.acme, NULL, NULL);
    server_file(&s, "root.txt", out.data, out.size);
    cr_assert_eq(server_fails(&s), 1);
    cr_assert(strstr(s.text, "the signing key cannot be opened with the root identity"), "%s",
              s.text);
}

Test(boundary, a_readable_root_identity_is_refused) {
    char path[128];
    snprintf(path, sizeof path, "%s/root.txt", s.folder);
    chmod(path, 0644);
    cr_assert_eq(server_fails(&s), status_exit(STATUS_FORBIDDEN));
    cr_assert(strstr(s.text, "can be read by others (mode 0644), expected 0600"), "%s", s.text);
}

/* --- launch itself ------------------------------------------------------------------------------
 */

/* Without a suite of its own set-up: the folder is made as the user that serves it. */
TestSuite(ordinary, .timeout = 60);

/* It holds the sockets of all roles; the owner of its files under /proc is root only where it can
 * not be dumped, and then nobody else of its user can look into it. */
Test(ordinary, no_process_of_the_server_can_be_dumped) {
    static const char *const roles[] = {"keeper", "ledger", "front", "worker"};
    char path[64];
    struct stat info;
    if (geteuid() == 0) {
        cr_assert_eq(setresgid(65534, 65534, 65534), 0);
        cr_assert_eq(setresuid(65534, 65534, 65534), 0);
        if (access(BOUNDARY_SERVER, X_OK) != 0)
            cr_skip_test("an ordinary user cannot reach the build folder");
    }
    server_prepare(&s);
    server_start(&s);
    start_worker(SERVER_ACME);
    snprintf(path, sizeof path, "/proc/%d/maps", (int)s.pid);
    cr_assert_eq(stat(path, &info), 0);
    cr_expect_eq(info.st_uid, 0, "launch can be dumped");
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "/proc/%d/maps", (int)server_pid(&s, roles[i]));
        cr_assert_eq(stat(path, &info), 0);
        cr_expect_eq(info.st_uid, 0, "%s can be dumped", roles[i]);
    }
    cr_assert_eq(server_stop(&s), 0, "%s", s.text);
    server_remove(&s);
}

/* strongroomd: one program for every process of the server. Started by a person or an init system
 * it is launch; launch starts it again with --role for each of the others (base/role.h). */
#include "base/config.h"
#include "base/config_settings.h"
#include "base/log.h"
#include "base/role.h"
#include "base/server_options.h"
#include "base/suggest.h"
#include "server/check.h"
#include "server/launch/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static void print_usage(FILE *to) {
    fputs("usage: strongroomd [OPTIONS]\n\n", to);
    for (size_t i = 0; i < SERVER_OPTIONS; i++) {
        const struct server_options_row *row = &server_options[i];
        char left[32];
        snprintf(left, sizeof left, "--%s%s%s", row->name, row->value ? " " : "",
                 row->value ? row->value : "");
        fprintf(to, "  %-14s %s\n", left, row->help);
    }
    fputs(
        "\nExit status: 0 ended as asked, or all is well; 1 a process failed; 2 wrong use, or a "
        "wrong\n"
        "setting or file; 3 a file that others can read, or that is not this user's; 4 a file or\n"
        "folder that is missing; 5 the data folder is in use; 8 the machine lacks something.\n"
        "Signals: TERM and INT drain and end, HUP takes the certificate anew.\n",
        to);
}

/* What getopt_long found wrong with `word`: an option that is not known, or one without its value.
 */
static void say_wrong(const char *word) {
    char name[SUGGEST_LENGTH_MAX + 1];
    size_t dashes = strspn(word, "-");
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word + dashes, "="), word + dashes);
    struct suggest suggest = suggest_begin(name);
    for (size_t i = 0; i < SERVER_OPTIONS; i++) {
        const struct server_options_row *row = &server_options[i];
        suggest_offer(&suggest, row->name);
        if (dashes == 2 && strcmp(row->name, name) == 0) {
            fprintf(stderr,
                    row->value ? "strongroomd: --%s needs a value: %s\n"
                               : "strongroomd: --%s takes no value\n",
                    row->name, row->value);
            return;
        }
    }
    fprintf(stderr, "strongroomd: %.*s is not an option", (int)(dashes + strlen(name)), word);
    fprintf(stderr, suggest.best ? ": did you mean --%s?\n" : "; `strongroomd --help` lists them\n",
            suggest.best);
}

/* --- a role ----------------------------------------------------------------------------------- */

/* The struct comes from launch: this very program, a moment ago. */
static int read_config(struct config *config) {
    ssize_t n = pread(ROLE_DESCRIPTOR_CONFIG, config, sizeof *config, 0);
    char more;
    return n == (ssize_t)sizeof *config &&
           pread(ROLE_DESCRIPTOR_CONFIG, &more, 1, (off_t)sizeof *config) == 0;
}

static int run_role(const char *name, const char *worker) {
    static struct config config;
    struct role_start start = {.role = role_of_name(name),
                               .config = &config,
                               .launch = ROLE_DESCRIPTOR_LAUNCH,
                               .root_identity = -1,
                               .signing_key = -1,
                               .store_folder = -1,
                               .admin_listener = -1,
                               .tls_certificate = -1,
                               .tls_key = -1,
                               .tls_client_ca = -1,
                               .metrics_listener = -1};
    int next = ROLE_DESCRIPTOR_FIRST;
    char label[32];
    if (start.role == ROLE_ANY || (start.role == ROLE_WORKER) != (worker != NULL)) {
        fprintf(stderr, "strongroomd: --role is for strongroomd itself, not for people\n");
        return 2;
    }
    for (size_t i = 0; i < ROLE_LISTENERS_MAX; i++)
        start.listeners[i] = -1;
    /* Died meanwhile: launch would have been the one to end us. exec may have cleared this. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || !read_config(&config)) {
        fprintf(stderr, "strongroomd: --role is for strongroomd itself, not for people\n");
        return 2;
    }
    close(ROLE_DESCRIPTOR_CONFIG);
    snprintf(label, sizeof label, worker ? "%s %s" : "%s", name, worker ? worker : "");
    prctl(PR_SET_NAME, label, 0, 0, 0);
    log_start(label, LOG_INFO);
    switch (start.role) {
    case ROLE_KEEPER:
        start.root_identity = next++;
        start.signing_key = next++;
        break;
    case ROLE_LEDGER:
        start.store_folder = next++;
        start.admin_listener = next++;
        break;
    case ROLE_FRONT:
        start.tls_certificate = next++;
        start.tls_key = next++;
        if (config.tls_client_ca[0])
            start.tls_client_ca = next++;
        for (size_t i = 0; i < config.listen_count; i++)
            start.listeners[start.listener_count++] = next++;
        if (config.metrics_listen[0])
            start.metrics_listener = next++;
        break;
    default:
        start.worker = (uint32_t)strtoul(worker, NULL, 10);
        break;
    }
    if (close_range((unsigned)next, ~0u, 0) != 0) {
        log_error("descriptors cannot be closed: %s", strerror(errno));
        return 1;
    }
    for (int fd = ROLE_DESCRIPTOR_LAUNCH; fd < next; fd++)
        if (fd != ROLE_DESCRIPTOR_CONFIG && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
            log_error("descriptor %d is missing", fd);
            return 1;
        }
    switch (start.role) {
    case ROLE_KEEPER:
        return keeper_main(&start);
    case ROLE_LEDGER:
        return ledger_main(&start);
    case ROLE_FRONT:
        return front_main(&start);
    default:
        return worker_main(&start);
    }
}

/* --- launch ----------------------------------------------------------------------------------- */

/* Descriptors 0 to 2 must be something, or the first file opened would become the log. */
static int have_standard_descriptors(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return 0;
    return 1;
}

static int print_settings(void) {
    static char text[16384];
    struct buf out = buf_of(text, sizeof text);
    config_settings_print(&out);
    if (out.failed || fwrite(text, 1, out.size, stdout) != out.size || fflush(stdout) != 0)
        return 1;
    return 0;
}

int main(int argc, char **argv) {
    /* Those of people, those that launch starts a role with, and the end. */
    struct option options[SERVER_OPTIONS + 3] = {{"role", required_argument, NULL, 'r'},
                                                 {"worker", required_argument, NULL, 'w'}};
    static struct config config;
    const char *path = SERVER_OPTIONS_CONFIG, *role = NULL, *worker = NULL;
    int check = 0, option;
    struct error error;
    if (!have_standard_descriptors())
        return 1;
    for (size_t i = 0; i < SERVER_OPTIONS; i++)
        options[i + 2] =
            (struct option){.name = server_options[i].name,
                            .has_arg = server_options[i].value ? required_argument : no_argument,
                            .val = server_options[i].key};
    opterr = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            path = optarg;
            break;
        case 'k':
            check = 1;
            break;
        case 's':
            return print_settings();
        case 'v':
            printf("strongroomd " STRONGROOM_VERSION "\n");
            return 0;
        case 'h':
            print_usage(stdout);
            return 0;
        case 'r':
            role = optarg;
            break;
        case 'w':
            worker = optarg;
            break;
        default:
            say_wrong(argv[optind - 1]);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr,
                "strongroomd: found \"%s\", expected options alone: `strongroomd --help` "
                "lists them\n",
                argv[optind]);
        return 2;
    }
    if (role)
        return run_role(role, worker);
    log_start("launch", LOG_INFO);
    if (check && check_text(path) > 0)
        return status_exit(STATUS_INVALID);
    if (config_load(path, &config, &error) != STATUS_OK) {
        fprintf(stderr, "strongroomd: %s\n", error.message);
        return status_exit(error.status);
    }
    return check ? check_run(path, &config) : launch_main(&config);
}

#include "server/launch/renewal.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define WATCHED                                                                                    \
    (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_ATTRIB | IN_ONLYDIR)
#define LINKS_MAX 16 /* symbolic links followed on the way to a file */

static void watch_parent(int inotify, const char *path) {
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash ||
        (size_t)snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path) >= sizeof folder)
        return;
    /* A folder that cannot be watched is looked at all the same. */
    (void)inotify_add_watch(inotify, folder[0] ? folder : "/", WATCHED);
}

/* `path` with its first symbolic link replaced by what that points to; false where it has none. The
 * folder that the link stands in is watched. */
static bool follow(int inotify, const char path[PATH_MAX], char out[PATH_MAX]) {
    for (const char *end = path + 1;; end++) {
        char prefix[PATH_MAX], target[PATH_MAX];
        struct stat info;
        end = strchrnul(end, '/');
        snprintf(prefix, sizeof prefix, "%.*s", (int)(end - path), path);
        if (lstat(prefix, &info) == 0 && S_ISLNK(info.st_mode)) {
            ssize_t size = readlink(prefix, target, sizeof target - 1);
            watch_parent(inotify, prefix);
            if (size <= 0)
                return false;
            target[size] = '\0';
            const char *slash = strrchr(prefix, '/');
            int n = target[0] == '/' ? snprintf(out, PATH_MAX, "%s%s", target, end)
                                     : snprintf(out, PATH_MAX, "%.*s/%s%s", (int)(slash - prefix),
                                                prefix, target, end);
            return n > 0 && n < PATH_MAX;
        }
        if (!*end)
            return false;
    }
}

static void watch(struct renewal *renewal) {
    const char *const paths[] = {renewal->config->tls_certificate, renewal->config->tls_key};
    if (renewal->inotify >= 0)
        close(renewal->inotify);
    renewal->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (renewal->inotify < 0)
        return;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        char at[PATH_MAX], next[PATH_MAX];
        snprintf(at, sizeof at, "%s", paths[i]);
        watch_parent(renewal->inotify, at);
        for (int links = 0; links < LINKS_MAX && follow(renewal->inotify, at, next); links++) {
            memcpy(at, next, sizeof at);
            watch_parent(renewal->inotify, at);
        }
    }
}

static struct renewal_file look_at(const char *path) {
    struct stat info;
    struct renewal_file file;
    memset(&file, 0, sizeof file); /* compared as bytes */
    if (stat(path, &info) == 0) {
        file.device = info.st_dev;
        file.inode = info.st_ino;
        file.size = info.st_size;
        file.modified = info.st_mtim;
        file.changed = info.st_ctim;
    }
    return file;
}

static bool look(struct renewal *renewal) {
    const struct renewal_file now[2] = {look_at(renewal->config->tls_certificate),
                                        look_at(renewal->config->tls_key)};
    bool same = memcmp(now, renewal->seen, sizeof now) == 0;
    memcpy(renewal->seen, now, sizeof now);
    return !same;
}

void renewal_open(struct renewal *renewal, const struct config *config, uint64_t now) {
    *renewal = (struct renewal){.config = config, .inotify = -1, .due = now + RENEWAL_LOOK_MS};
    watch(renewal);
    (void)look(renewal);
}

void renewal_close(struct renewal *renewal) {
    if (renewal->config && renewal->inotify >= 0)
        close(renewal->inotify);
    renewal->inotify = -1;
}

void renewal_stirred(struct renewal *renewal, uint64_t now) {
    char events[4096];
    while (read(renewal->inotify, events, sizeof events) > 0)
        ;
    if (renewal->due > now + RENEWAL_SETTLE_MS)
        renewal->due = now + RENEWAL_SETTLE_MS;
}

void renewal_force(struct renewal *renewal, uint64_t now) {
    renewal->forced = true;
    renewal->due = now;
}

bool renewal_changed(struct renewal *renewal, uint64_t now) {
    bool forced = renewal->forced;
    renewal->forced = false;
    renewal->due = now + RENEWAL_LOOK_MS;
    watch(renewal); /* before the look: what changes after it is seen next time */
    return look(renewal) || forced;
}

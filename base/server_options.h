/* The options of strongroomd that are for people: read by its main, and by the man page. */
#ifndef BASE_SERVER_OPTIONS_H
#define BASE_SERVER_OPTIONS_H

#define SERVER_OPTIONS_CONFIG "/etc/strongroom/strongroom.yaml"

struct server_options_row {
    const char *name;  /* without its dashes */
    const char *value; /* what help calls it; NULL for a flag */
    char key;          /* what main knows it by */
    const char *help;
};

#define SERVER_OPTIONS 5
extern const struct server_options_row server_options[SERVER_OPTIONS];
/* One paragraph each: what the exit statuses and the signals mean. */
extern const char *const server_options_exits;
extern const char *const server_options_signals;

#endif

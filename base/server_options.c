#include "base/server_options.h"

const struct server_options_row server_options[SERVER_OPTIONS] = {
    {"config", "FILE", 'c', "the configuration (default " SERVER_OPTIONS_CONFIG ")"},
    {"check", 0, 'k', "check configuration, files and kernel, start nothing"},
    {"settings", 0, 's', "print every setting with its default and range"},
    {"version", 0, 'v', "print the version"},
    {"help", 0, 'h', "print this"},
};

const char *const server_options_exits =
    "0 ended as asked, or all is well; 1 a process failed; 2 wrong use, or a wrong setting or "
    "file; "
    "3 a file that others can read, or that is not this user's; 4 a file or folder that is "
    "missing; "
    "5 the data folder is in use; 8 the machine lacks something.";
const char *const server_options_signals =
    "TERM and INT end the server with what is in flight answered, HUP takes the certificate anew.";

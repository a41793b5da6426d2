#include "base/server_options.h"

const struct server_options_row server_options[SERVER_OPTIONS] = {
    {"config", "FILE", 'c', "the configuration (default " SERVER_OPTIONS_CONFIG ")"},
    {"check", 0, 'k', "check configuration, files and kernel, start nothing"},
    {"version", 0, 'v', "print the version"},
    {"help", 0, 'h', "print this"},
};

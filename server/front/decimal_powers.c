#include "server/front/decimal_powers.h"

const struct decimal_power decimal_powers_table[] = {
#include "server/front/decimal_powers.inc"
};

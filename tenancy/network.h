/* Networks as CIDR writes them, of either family: "10.0.0.0/8", "2001:db8::/32", "::1" (RFC 4632,
 * RFC 4291). Both are kept as IPv6; IPv4 lies in ::ffff:0:0/96, so that an IPv4 client of an IPv6
 * socket is the same client. A network wider than that place, such as ::/0, is one of IPv6 alone:
 * no network of one family holds an address of the other.
 *
 * Threads: pure functions. Input: untrusted. */
#ifndef TENANCY_NETWORK_H
#define TENANCY_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define NETWORK_TEXT_MAX 56

struct network {
    uint8_t address[16]; /* bits after the prefix are zero */
    uint8_t bits;        /* 0 to 128 */
};

/* An address without a length is a network of one. STATUS_INVALID where it is none, or where bits
 * are set after its prefix. */
MUST_USE enum status network_parse(const char *text, struct network *network, struct error *error);
/* The address that a connection came from, as text; false where it is none. */
MUST_USE bool network_address(const char *text, uint8_t address[16]);
bool network_contains(const struct network *network, const uint8_t address[16]);
bool network_equal(const struct network *a, const struct network *b);
void network_format(const struct network *network, char text[NETWORK_TEXT_MAX]);

#endif

#include "tenancy/network.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
#define MAPPED_BITS 96

bool network_address(const char *text, uint8_t address[16]) {
    uint8_t found[16];
    if (inet_pton(AF_INET, text, found + 12) == 1)
        memcpy(found, mapped, sizeof mapped);
    else if (inet_pton(AF_INET6, text, found) != 1)
        return false;
    memcpy(address, found, sizeof found);
    return true;
}

/* A copy of `from` with all after the first `bits` bits zero. */
static void cut(const uint8_t from[16], unsigned bits, uint8_t to[16]) {
    memset(to, 0, 16);
    memcpy(to, from, bits / 8);
    if (bits % 8)
        to[bits / 8] = (uint8_t)(from[bits / 8] & (0xff00 >> bits % 8));
}

enum status network_parse(const char *text, struct network *network, struct error *error) {
    char host[NETWORK_TEXT_MAX];
    const char *slash = strchr(text, '/');
    size_t length = slash ? (size_t)(slash - text) : strlen(text);
    struct network made;
    if (length >= sizeof host)
        goto bad;
    memcpy(host, text, length);
    host[length] = '\0';
    if (!network_address(host, made.address))
        goto bad;
    const bool four = !strchr(host, ':');
    const unsigned whole = four ? 32 : 128;
    unsigned bits = whole;
    if (slash) {
        const char *digit = slash + 1;
        size_t digits = strspn(digit, "0123456789");
        if (digits == 0 || digits > 3 || digit[digits] || (digits > 1 && digit[0] == '0'))
            goto bad;
        for (bits = 0; *digit; digit++)
            bits = bits * 10 + (unsigned)(*digit - '0');
        if (bits > whole)
            return status_fail(error, STATUS_INVALID, "\"%.55s\": a prefix of %u bits, at most %u",
                               text, bits, whole);
    }
    made.bits = (uint8_t)(bits + (four ? MAPPED_BITS : 0));
    uint8_t clean[16];
    cut(made.address, made.bits, clean);
    if (memcmp(clean, made.address, sizeof clean) != 0) {
        char wanted[NETWORK_TEXT_MAX];
        memcpy(made.address, clean, sizeof clean);
        network_format(&made, wanted);
        return status_fail(error, STATUS_INVALID,
                           "\"%.55s\": bits are set after the prefix; the network is %s", text,
                           wanted);
    }
    *network = made;
    return STATUS_OK;
bad:
    return status_fail(error, STATUS_INVALID,
                       "found \"%.55s\", expected a network such as 10.0.0.0/8 or 2001:db8::/32",
                       text);
}

bool network_contains(const struct network *network, const uint8_t address[16]) {
    const unsigned whole = network->bits / 8, rest = network->bits % 8;
    /* ::/0 and what else is wider than the place of IPv4 is meant as IPv6, and holds no IPv4. */
    if (network->bits < MAPPED_BITS && memcmp(address, mapped, sizeof mapped) == 0)
        return false;
    return memcmp(address, network->address, whole) == 0 &&
           (rest == 0 || (address[whole] & (0xff00 >> rest) & 0xff) == network->address[whole]);
}

bool network_equal(const struct network *a, const struct network *b) {
    return a->bits == b->bits && memcmp(a->address, b->address, sizeof a->address) == 0;
}

void network_format(const struct network *network, char text[NETWORK_TEXT_MAX]) {
    char host[INET6_ADDRSTRLEN] = "";
    const bool four =
        network->bits >= MAPPED_BITS && memcmp(network->address, mapped, sizeof mapped) == 0;
    inet_ntop(four ? AF_INET : AF_INET6, network->address + (four ? 12 : 0), host, sizeof host);
    snprintf(text, NETWORK_TEXT_MAX, "%s/%u", host,
             (unsigned)network->bits - (four ? MAPPED_BITS : 0));
}

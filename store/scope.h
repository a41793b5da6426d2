/* What an API key may do: a bit for each scope, and the names that people write.
 *
 * The table of names is in scope.c and nowhere else. A name or a bit that is not in it is refused,
 * never stored: a scope that this version does not enforce must not look as if it were.
 *
 * Threads: pure functions. Input: untrusted. */
#ifndef STORE_SCOPE_H
#define STORE_SCOPE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define SCOPE_MODELS_READ (UINT32_C(1) << 0)
#define SCOPE_MODELS_WRITE (UINT32_C(1) << 1)
#define SCOPE_INFER (UINT32_C(1) << 2)
#define SCOPE_AUDIT_READ (UINT32_C(1) << 3)
#define SCOPE_USAGE_READ (UINT32_C(1) << 4)
#define SCOPE_KEYS_WRITE (UINT32_C(1) << 5)
#define SCOPE_ALL ((UINT32_C(1) << 6) - 1) /* what a tenant's key may have */
/* An operator's: no tenant's key is given one of these, no operator's one of those above. Some have
 * the same names as a tenant's, over all tenants. */
#define SCOPE_METRICS (UINT32_C(1) << 8)
#define SCOPE_TENANTS_READ (UINT32_C(1) << 9)
#define SCOPE_TENANTS_WRITE (UINT32_C(1) << 10)
#define SCOPE_ALL_KEYS_WRITE (UINT32_C(1) << 11)
#define SCOPE_ALL_MODELS_WRITE (UINT32_C(1) << 12)
#define SCOPE_ALL_AUDIT_READ (UINT32_C(1) << 13)
#define SCOPE_POLICIES_WRITE (UINT32_C(1) << 14)
#define SCOPE_OPERATORS_WRITE (UINT32_C(1) << 15)
#define SCOPE_OPERATOR_ALL (UINT32_C(0xff) << 8)

/* Room for every name, the commas between them and the end. */
#define SCOPE_TEXT_MAX 192

/* "models:read,infer" to bits. At least one name; an unknown, empty or repeated one is
 * STATUS_INVALID, and the message lists the known names. */
MUST_USE enum status scope_parse(const char *text, uint32_t *scopes, struct error *error);
/* The same for the key of an operator. */
MUST_USE enum status scope_parse_operator(const char *text, uint32_t *scopes, struct error *error);
/* Bits to names in the order of the table, separated by commas; unknown bits are left out. */
void scope_format(uint32_t scopes, char text[SCOPE_TEXT_MAX]);

#endif

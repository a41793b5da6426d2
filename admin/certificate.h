/* A self-signed TLS certificate (EC P-256) to start with, and when one ends. */
#ifndef ADMIN_CERTIFICATE_H
#define ADMIN_CERTIFICATE_H

#include <stdint.h>

#include "base/status.h"

/* Make a key and a certificate for localhost, 127.0.0.1, ::1 and this machine's name, valid for
 * `days`, as two new PEM files (the key's of mode 0600). The key's bytes are wiped from memory as
 * far as OpenSSL lets go of them. */
MUST_USE enum status certificate_make(const char *certificate_path, const char *key_path, int days,
                                      struct error *error);
/* Seconds from now until the first certificate in the file ends; negative once it has. */
MUST_USE enum status certificate_remaining(const char *path, int64_t *seconds, struct error *error);

/* What a client's certificate is known by: the SHA-256 of its DER form, in lower-case hexadecimal.
 * `given` is a PEM file (the first certificate in it counts), or that digest itself, as `openssl
 * x509 -fingerprint -sha256` writes it too. */
#define CERTIFICATE_FINGERPRINT_SIZE 65
MUST_USE enum status certificate_fingerprint(const char *given,
                                             char text[CERTIFICATE_FINGERPRINT_SIZE],
                                             struct error *error);

#endif

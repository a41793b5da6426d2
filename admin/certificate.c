#include "admin/certificate.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "admin/files.h"
#include "base/buf.h"
#include "crypto/encoding.h"

static enum status failed(struct error *error) {
    return status_fail(error, STATUS_UNAVAILABLE, "the TLS certificate cannot be made");
}

/* A host name that may stand in a certificate; "" where this machine's may not. */
static void own_name(char *name, size_t size) {
    if (gethostname(name, size) != 0)
        name[0] = '\0';
    name[size - 1] = '\0';
    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")])
        name[0] = '\0';
}

static bool add_extension(X509 *certificate, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, certificate, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    bool added = extension && X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return added;
}

static bool fill(X509 *certificate, EVP_PKEY *key, int days) {
    char host[65], names[160];
    struct buf out = buf_of(names, sizeof names);
    own_name(host, sizeof host);
    buf_string(&out, "DNS:localhost,IP:127.0.0.1,IP:::1");
    if (host[0] && strcmp(host, "localhost") != 0)
        buf_printf(&out, ",DNS:%s", host);
    buf_u8(&out, 0);
    X509_NAME *subject = X509_get_subject_name(certificate);
    BIGNUM *serial = BN_new();
    bool made =
        !out.failed && serial && BN_rand(serial, 127, BN_RAND_TOP_ANY, BN_RAND_BOTTOM_ANY) &&
        BN_to_ASN1_INTEGER(serial, X509_get_serialNumber(certificate)) &&
        X509_set_version(certificate, X509_VERSION_3) &&
        X509_gmtime_adj(X509_getm_notBefore(certificate), -300) &&
        X509_time_adj_ex(X509_getm_notAfter(certificate), days, 0, NULL) &&
        X509_set_pubkey(certificate, key) &&
        X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                                   (const unsigned char *)"Strongroom, self-signed", -1, -1, 0) &&
        X509_set_issuer_name(certificate, subject) &&
        add_extension(certificate, NID_subject_alt_name, names) &&
        add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
        add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
        add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
        add_extension(certificate, NID_subject_key_identifier, "hash") &&
        X509_sign(certificate, key, EVP_sha256());
    BN_free(serial);
    return made;
}

static enum status write_pem(BIO *pem, const char *path, mode_t mode, struct error *error) {
    char *bytes = NULL;
    long size = BIO_get_mem_data(pem, &bytes);
    return size > 0 ? files_write_new(path, bytes, (size_t)size, mode, error) : failed(error);
}

enum status certificate_make(const char *certificate_path, const char *key_path, int days,
                             struct error *error) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    BIO *certificate_pem = BIO_new(BIO_s_mem()), *key_pem = BIO_new(BIO_s_secmem());
    enum status status = STATUS_OK;
    if (!key || !certificate || !certificate_pem || !key_pem || !fill(certificate, key, days) ||
        !PEM_write_bio_X509(certificate_pem, certificate) ||
        !PEM_write_bio_PrivateKey(key_pem, key, NULL, NULL, 0, NULL, NULL))
        status = failed(error);
    if (status == STATUS_OK)
        status = write_pem(key_pem, key_path, 0600, error);
    if (status == STATUS_OK &&
        (status = write_pem(certificate_pem, certificate_path, 0644, error)) != STATUS_OK)
        unlink(key_path);
    BIO_free(key_pem);
    BIO_free(certificate_pem);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return status;
}

enum status certificate_remaining(const char *path, int64_t *seconds, struct error *error) {
    BIO *file = BIO_new_file(path, "r");
    X509 *certificate = file ? PEM_read_bio_X509(file, NULL, NULL, NULL) : NULL;
    int days = 0, rest = 0;
    bool read = certificate && ASN1_TIME_diff(&days, &rest, NULL, X509_get0_notAfter(certificate));
    X509_free(certificate);
    BIO_free(file);
    if (!read)
        return status_fail(error, STATUS_INVALID, "%s: no certificate can be read from it", path);
    *seconds = (int64_t)days * 86400 + rest;
    return STATUS_OK;
}

/* 64 hexadecimal digits, colons between or not; false where it is anything else. */
static bool read_digest(const char *given, char text[CERTIFICATE_FINGERPRINT_SIZE]) {
    size_t digits = 0;
    for (; *given; given++) {
        if (*given == ':' && digits % 2 == 0)
            continue;
        if (!isxdigit((unsigned char)*given) || digits == CERTIFICATE_FINGERPRINT_SIZE - 1)
            return false;
        text[digits++] = (char)tolower((unsigned char)*given);
    }
    text[digits] = '\0';
    return digits == CERTIFICATE_FINGERPRINT_SIZE - 1;
}

enum status certificate_fingerprint(const char *given, char text[CERTIFICATE_FINGERPRINT_SIZE],
                                    struct error *error) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (read_digest(given, text))
        return STATUS_OK;
    FILE *file = fopen(given, "re");
    if (!file)
        return status_fail(error, STATUS_NOT_FOUND, "%s: %s", given, strerror(errno));
    X509 *certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    bool good = certificate && X509_digest(certificate, EVP_sha256(), digest, &size) == 1 &&
                ENCODING_HEX_SIZE(size) == CERTIFICATE_FINGERPRINT_SIZE;
    X509_free(certificate);
    if (!good)
        return status_fail(error, STATUS_INVALID,
                           "%s: expected a PEM certificate, or the 64 hexadecimal digits of its "
                           "SHA-256",
                           given);
    encoding_hex(digest, size, text);
    return STATUS_OK;
}

# Suites of crypto/.
pkg_check_modules(ZLIB REQUIRED IMPORTED_TARGET zlib)
strongroom_test(unit-crypto-secret SOURCES crypto_secret.c DEPS strongroom_crypto LABELS unit)
strongroom_test(unit-crypto-age SOURCES crypto_age.c DEPS strongroom_crypto LABELS unit)
strongroom_test(unit-crypto-tokens SOURCES crypto_tokens.c DEPS strongroom_crypto PkgConfig::ZLIB LABELS unit)

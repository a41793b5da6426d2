# Everything of crypto/ that parses bytes from outside.
strongroom_fuzz(age SOURCES age.c LIBRARIES strongroom_crypto MAX_LEN 8192)

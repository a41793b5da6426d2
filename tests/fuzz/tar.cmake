# The tar reader, and the names of a bundle's members.
strongroom_fuzz(tar SOURCES tar.c LIBRARIES strongroom_bundle MAX_LEN 8192)

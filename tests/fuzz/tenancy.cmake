# Commands of the admin socket, over the store in memory.
strongroom_fuzz(tenancy SOURCES tenancy.c LIBRARIES strongroom_tenancy MAX_LEN 4096 DICT tenancy.dict)

# Messages between processes.
strongroom_fuzz(message SOURCES message.c LIBRARIES strongroom_base MAX_LEN 8192)

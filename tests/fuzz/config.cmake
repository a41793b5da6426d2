# The configuration file.
strongroom_fuzz(config SOURCES config.c LIBRARIES strongroom_base MAX_LEN 4096 DICT config.dict)

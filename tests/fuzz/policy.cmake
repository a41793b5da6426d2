# A tenant's policy.
strongroom_fuzz(policy SOURCES policy.c LIBRARIES strongroom_tenancy MAX_LEN 4096 DICT policy.dict)

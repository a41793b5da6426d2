# A whole bundle: external data, manifest and labels, behind the engine.
strongroom_fuzz(bundle SOURCES bundle.c LIBRARIES strongroom_bundle MAX_LEN 8192)

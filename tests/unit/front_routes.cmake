# The table of routes and what it answers with: the API's description, queries, times.
strongroom_test(unit-front-routes SOURCES front_routes.c front_query.c front_metrics.c
  DEPS strongroom_front strongroom_store PkgConfig::JANSSON)

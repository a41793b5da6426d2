#include "store/backend.h"

enum status backend_init(struct store *store, const struct store_backend *backend, bool reader,
                         struct error *error) {
    if (pthread_mutex_init(&store->mutex, NULL) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "the store cannot be opened: no memory");
    store->backend = backend;
    store->reader = reader;
    store->observer = NULL;
    store->observer_context = NULL;
    return STATUS_OK;
}

void backend_destroy(struct store *store) {
    pthread_mutex_destroy(&store->mutex);
}

enum status backend_no_tenant(struct error *error) {
    return status_fail(error, STATUS_NOT_FOUND, "no such tenant");
}

enum status backend_no_policy(struct error *error) {
    return status_fail(error, STATUS_NOT_FOUND, "there is no such policy");
}

enum status backend_policy_used(struct error *error) {
    return status_fail(error, STATUS_CONFLICT, "a tenant has this policy");
}

enum status backend_no_key(struct error *error) {
    return status_fail(error, STATUS_NOT_FOUND, "no such key");
}

enum status backend_no_model(struct error *error) {
    return status_fail(error, STATUS_NOT_FOUND, "no such model");
}

enum status backend_wrong_state(const char *wanted, enum store_model_state found,
                                struct error *error) {
    return status_fail(error, STATUS_CONFLICT, "the model is %s, must be %s for this step",
                       store_model_state_name(found), wanted);
}

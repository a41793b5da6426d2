#include "server/ledger/key_act.h"

#include "base/buf.h"
#include "base/instant.h"
#include "base/name.h"
#include "crypto/apikey.h"
#include "crypto/secret.h"
#include "server/ledger/policy_gate.h"

#include <stdlib.h>
#include <string.h>

/* Keys of a tenant that are neither revoked nor expired. */
#define LIVE_MAX 256u
#define RESULT_MAX 1024

static json_t *time_json(int64_t time) {
    char text[INSTANT_TEXT_SIZE];
    if (!time)
        return json_null();
    instant_format(time, text);
    return json_string(text);
}

static json_t *scopes_json(uint32_t scopes) {
    char names[SCOPE_TEXT_MAX];
    json_t *list = json_array();
    scope_format(scopes, names);
    for (const char *at = names; list && *at;) {
        size_t size = strcspn(at, ",");
        if (json_array_append_new(list, json_stringn(at, size)) != 0) {
            json_decref(list);
            return NULL;
        }
        at += size + (at[size] == ',');
    }
    return list;
}

json_t *key_act_json(const struct store_key *key) {
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:s?}", "id", key->id, "label", key->label,
                     "scopes", scopes_json(key->scopes), "created", time_json(key->created),
                     "expires", time_json(key->expires), "revoked", time_json(key->revoked),
                     "created_by", key->maker[0] ? key->maker : NULL);
}

enum status key_act_find(struct store *store, int64_t tenant, const char *id, struct store_key *key,
                         struct error *error) {
    struct store_key found;
    enum status status = store_key_find(store, id, &found, error);
    if (status == STATUS_NOT_FOUND || (status == STATUS_OK && found.tenant != tenant))
        return status_fail(error, STATUS_NOT_FOUND, "the key is not found");
    if (status == STATUS_OK)
        *key = found;
    return status;
}

struct count {
    int64_t now;
    unsigned live;
};

static enum status count_live(void *context, const struct store_key *key, struct error *error) {
    struct count *count = context;
    (void)error;
    count->live += !key->revoked && (!key->expires || key->expires > count->now);
    return STATUS_OK;
}

static enum status check_room(struct store *store, const struct act *act, struct error *error) {
    struct count count = {.now = act->record.time};
    enum status status = store_key_list(store, act->tenant, count_live, &count, error);
    if (status == STATUS_OK && count.live >= LIVE_MAX)
        return status_fail(error, STATUS_CONFLICT,
                           "the tenant has %u keys that are valid; revoke one first", LIVE_MAX);
    return status;
}

/* `maker` is looked at now, in the turn of the commit thread: what was admitted a moment ago may
 * have been revoked since. */
static enum status derive(const struct act *act, struct store *store, const struct store_key *maker,
                          struct store_key *key, struct error *error) {
    const struct act_question *q = &act->question;
    int64_t now = act->record.time;
    char names[SCOPE_TEXT_MAX], until[INSTANT_TEXT_SIZE];
    if (maker->revoked || (maker->expires && maker->expires <= now))
        return status_fail(error, STATUS_UNAUTHENTICATED, "%s",
                           status_text(STATUS_UNAUTHENTICATED));
    if (q->label[0] && !name_valid(q->label, strlen(q->label)))
        return status_fail(error, STATUS_INVALID,
                           "label: expected a letter or digit, then up to %d letters, digits, "
                           "\".\", \"_\" or \"-\"",
                           NAME_MAX_LENGTH - 1);
    enum status status = scope_parse(q->scopes, &key->scopes, error);
    if (status != STATUS_OK)
        return status;
    if (key->scopes & ~maker->scopes) {
        scope_format(key->scopes & ~maker->scopes, names);
        return status_fail(error, STATUS_FORBIDDEN,
                           "scopes: a key cannot give what it does not have itself: %s", names);
    }
    status = policy_gate_scopes(store, act->tenant, key->scopes, error);
    if (status != STATUS_OK)
        return status;
    if (q->expires && ((int64_t)q->expires <= now || q->expires > AUDIT_RECORD_INTEGER_MAX))
        return status_fail(error, STATUS_INVALID, "expires: not a time to come");
    if (maker->expires && (int64_t)q->expires > maker->expires) {
        instant_format(maker->expires, until);
        return status_fail(error, STATUS_FORBIDDEN,
                           "expires: a key cannot make one that lives longer than itself, until %s",
                           until);
    }
    key->tenant = act->tenant;
    key->created = now;
    key->expires = q->expires ? (int64_t)q->expires : maker->expires;
    memcpy(key->label, q->label, strlen(q->label) + 1);
    memcpy(key->maker, maker->id, sizeof maker->id);
    key->has_certificate = maker->has_certificate;
    memcpy(key->certificate, maker->certificate, sizeof key->certificate);
    return STATUS_OK;
}

/* The answer has the key's secret, so it lies in secret memory. A label is a name, an id is base32:
 * neither needs escapes. */
static enum status write_result(struct act *act, const struct store_key *key, const char *text,
                                struct error *error) {
    json_t *o = key_act_json(key);
    char *json = o ? json_dumps(o, JSON_COMPACT) : NULL;
    enum status status = STATUS_UNAVAILABLE;
    json_decref(o);
    if (!json) {
        status_fail(error, status, "memory is short");
        goto out;
    }
    act->result = secret_alloc(RESULT_MAX, error);
    if (!act->result)
        goto out;
    act->secret = true;
    struct buf out = buf_of(act->result, RESULT_MAX);
    buf_string(&out, "{\"key\":\"");
    buf_string(&out, text);
    buf_string(&out, "\",");
    buf_string(&out, json + 1);
    act->result_size = out.size;
    status =
        out.failed ? status_fail(error, STATUS_INTERNAL, "the answer does not fit") : STATUS_OK;
out:
    free(json);
    return status;
}

struct fresh {
    struct apikey key;
    char text[APIKEY_SIZE];
};

void key_act_create(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct store_key maker, key = {0};
    struct fresh *fresh = secret_alloc(sizeof *fresh, &act->error);
    act->status = fresh ? key_act_find(store, act->tenant, act->record.key, &maker, &act->error)
                        : STATUS_UNAVAILABLE;
    if (act->status == STATUS_OK)
        act->status = derive(act, store, &maker, &key, &act->error);
    if (act->status == STATUS_OK)
        act->status = check_room(store, act, &act->error);
    if (act->status != STATUS_OK)
        goto out;
    apikey_generate(&fresh->key, fresh->text);
    memcpy(key.id, fresh->key.id, sizeof fresh->key.id);
    apikey_hash(&fresh->key, key.hash);
    act->status = write_result(act, &key, fresh->text, &act->error);
    if (act->status != STATUS_OK)
        goto out;
    memcpy(act->record.target, key.id, sizeof key.id);
    struct audit_record record = commit_audit_record(&act->record);
    act->status = store_key_create(store, &key, &record, &act->error);
    directory_changed(act->ledger->directory);
out:
    secret_free(fresh);
}

void key_act_revoke(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct store_key key;
    json_t *o = NULL;
    struct audit_record record = commit_audit_record(&act->record);
    act->status = key_act_find(store, act->tenant, act->question.key, &key, &act->error);
    if (act->status == STATUS_OK && !key.revoked)
        key.revoked = act->record.time;
    if (act->status == STATUS_OK && !(o = key_act_json(&key)))
        act->status = status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
    if (act->status == STATUS_OK && !(act->result = json_dumps(o, JSON_COMPACT)))
        act->status = status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
    json_decref(o);
    if (act->status != STATUS_OK)
        return;
    act->result_size = strlen(act->result);
    act->status = store_key_revoke(store, key.id, act->record.time, &record, &act->error);
    directory_changed(act->ledger->directory);
}

/* What succeeded has its record already. */
void key_act_done(struct commit_job *job, void *ledger) {
    struct act *act = (struct act *)job;
    if (act->status == STATUS_OK)
        act_job_finish(ledger, act->ticket, STATUS_OK, "", act->result, act->result_size);
    else
        act_job_record(ledger, act->ticket, act->status, act->error.message, NULL, 0);
    act_job_free(act);
}

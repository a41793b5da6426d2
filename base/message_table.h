/* Every message between the processes of Strongroom, one row each: who sends it, who receives it,
 * how many descriptors travel with it, and its fields in wire order. base/message.h makes the
 * structs, the encoders and the decoders from this table, so the two sides cannot differ.
 *
 * The socket is the authority: who speaks for which tenant follows from the socket a message came
 * in on, never from a field.
 *
 * Field kinds: U8, U32, U64; TEXT and BYTES carry a length and have the given maximum in bytes
 * (TEXT is UTF-8 without a terminator; both may be empty). */
#ifndef BASE_MESSAGE_TABLE_H
#define BASE_MESSAGE_TABLE_H

#define MESSAGE_NAME_MAX 64             /* tenant and model names, versions */
#define MESSAGE_UID_MAX 32              /* tenant uid: 128 bits in hexadecimal */
#define MESSAGE_TOKEN_MAX 128           /* an API key as presented */
#define MESSAGE_REQUEST_ID_MAX 64       /* X-Request-Id */
#define MESSAGE_CLIENT_MAX 46           /* textual IPv4 or IPv6 address */
#define MESSAGE_TARGET_MAX 129          /* "name/version" of a model */
#define MESSAGE_CURSOR_MAX 224          /* a row that a page ended with */
#define MESSAGE_SCOPES_MAX 256          /* names of scopes */
#define MESSAGE_ERROR_MAX 1024          /* a message for people */
#define MESSAGE_HEADER_MAX (64 * 1024)  /* an age header */
#define MESSAGE_WRAPPED_MAX 4096        /* a tenant identity, sealed to the root recipient */
#define MESSAGE_NOTE_MAX 4096           /* a signed note */
#define MESSAGE_RESULT_MAX (120 * 1024) /* the JSON of an act, the signature of a model */

/* LOAD: domains that operators may be of, and the weakest memory that weights may lie in. */
#define MESSAGE_DOMAIN_ONNX 1
#define MESSAGE_DOMAIN_ML 2
#define MESSAGE_DOMAIN_MICROSOFT 4
#define MESSAGE_MEMORY_CONFIGURED 0
#define MESSAGE_MEMORY_LOCKED 1
#define MESSAGE_MEMORY_SECRET 2

/* M(NAME, name, sender, receiver, descriptors) */
#define MESSAGE_TABLE(M)                                                                           \
    M(READY, ready, ANY, LAUNCH, 0)                                                                \
    M(DRAIN, drain, LAUNCH, ANY, 0)                                                                \
    M(START_WORKER, start_worker, LEDGER, LAUNCH, 0)                                               \
    M(STOP_WORKER, stop_worker, LEDGER, LAUNCH, 0)                                                 \
    M(KEEPER_LEDGER, keeper_ledger, LAUNCH, KEEPER, 1)                                             \
    M(KEEPER_WORKER, keeper_worker, LAUNCH, KEEPER, 1)                                             \
    M(LEDGER_KEEPER, ledger_keeper, LAUNCH, LEDGER, 1)                                             \
    M(LEDGER_FRONT, ledger_front, LAUNCH, LEDGER, 1)                                               \
    M(LEDGER_WORKER, ledger_worker, LAUNCH, LEDGER, 1)                                             \
    M(LEDGER_WORKER_GONE, ledger_worker_gone, LAUNCH, LEDGER, 0)                                   \
    M(FRONT_LEDGER, front_ledger, LAUNCH, FRONT, 1)                                                \
    M(FRONT_WORKER, front_worker, LAUNCH, FRONT, 2)                                                \
    M(FRONT_TLS, front_tls, LAUNCH, FRONT, 2)                                                      \
    M(WORKER_KEEPER, worker_keeper, LAUNCH, WORKER, 1)                                             \
    M(WORKER_LEDGER, worker_ledger, LAUNCH, WORKER, 1)                                             \
    M(WORKER_FRONT, worker_front, LAUNCH, WORKER, 2)                                               \
    M(MAILBOX, mailbox, LEDGER, FRONT, 2)                                                          \
    M(CHANNEL, channel, FRONT, LEDGER, 1)                                                          \
    M(ADMIT, admit, FRONT, LEDGER, 0)                                                              \
    M(ADMITTED, admitted, LEDGER, FRONT, 0)                                                        \
    M(ADMITTED_UPLOAD, admitted_upload, LEDGER, FRONT, 1)                                          \
    M(REFUSED, refused, LEDGER, FRONT, 0)                                                          \
    M(PERFORM, perform, FRONT, LEDGER, 0)                                                          \
    M(PERFORMED, performed, LEDGER, FRONT, 0)                                                      \
    M(SETTLE, settle, FRONT, LEDGER, 0)                                                            \
    M(SETTLED, settled, LEDGER, FRONT, 0)                                                          \
    M(UNDELIVERED, undelivered, FRONT, LEDGER, 0)                                                  \
    M(MEASURE, measure, FRONT, LEDGER, 0)                                                          \
    M(MEASURED, measured, LEDGER, FRONT, 0)                                                        \
    M(FRONT_PAYLOAD, front_payload, LEDGER, FRONT, 1)                                              \
    M(WORKER_PAYLOAD, worker_payload, FRONT, WORKER, 1)                                            \
    M(SIGNATURE, signature, WORKER, FRONT, 0)                                                      \
    M(LOAD, load, LEDGER, WORKER, 0)                                                               \
    M(LOADED, loaded, WORKER, LEDGER, 0)                                                           \
    M(UNLOAD, unload, LEDGER, WORKER, 0)                                                           \
    M(UNWRAP, unwrap, WORKER, KEEPER, 0)                                                           \
    M(FILE_KEY, file_key, KEEPER, WORKER, 0)                                                       \
    M(SIGN_RECIPIENT, sign_recipient, LEDGER, KEEPER, 0)                                           \
    M(RECIPIENT_SIGNED, recipient_signed, KEEPER, LEDGER, 0)                                       \
    M(RECORDING, recording, LEDGER, FRONT, 0)

/* --- life of the processes ---------------------------------------------------------------- */

/* A role has entered its sandbox and serves. */
#define MESSAGE_FIELDS_ready(F) F(U32, pid, 0)
/* Finish what is running, take nothing new, exit. */
#define MESSAGE_FIELDS_drain(F) F(U32, deadline_ms, 0)
#define MESSAGE_FIELDS_start_worker(F) F(TEXT, tenant, MESSAGE_UID_MAX)
#define MESSAGE_FIELDS_stop_worker(F) F(U32, worker, 0)

/* --- introductions: launch gives each end of a fresh socket pair --------------------------- */

#define MESSAGE_FIELDS_keeper_ledger(F)
#define MESSAGE_FIELDS_keeper_worker(F) F(U32, worker, 0) F(TEXT, tenant, MESSAGE_UID_MAX)
#define MESSAGE_FIELDS_ledger_keeper(F)
#define MESSAGE_FIELDS_ledger_front(F)
#define MESSAGE_FIELDS_ledger_worker(F)                                                            \
    F(U32, worker, 0) F(TEXT, tenant, MESSAGE_UID_MAX) F(U32, slots, 0)
/* `retry_ms`: launch will start another for this tenant no sooner than that (back-off). */
#define MESSAGE_FIELDS_ledger_worker_gone(F)                                                       \
    F(U32, worker, 0) F(TEXT, tenant, MESSAGE_UID_MAX) F(U32, retry_ms, 0)
#define MESSAGE_FIELDS_front_ledger(F)
/* Descriptors: the socket to the worker, the ring's memory. */
#define MESSAGE_FIELDS_front_worker(F) F(U32, worker, 0) F(U32, slots, 0) F(U64, slot_bytes, 0)
/* The certificate or its key has changed. Descriptors: the two files, opened for reading. */
#define MESSAGE_FIELDS_front_tls(F)
/* After the worker's READY, and again when keeper, ledger or front was started again while it
 * lives: a worker that gets a new front sends the signatures of its models again. */
#define MESSAGE_FIELDS_worker_keeper(F)
#define MESSAGE_FIELDS_worker_ledger(F)
#define MESSAGE_FIELDS_worker_front(F) F(U32, slots, 0) F(U64, slot_bytes, 0)

/* --- a request ----------------------------------------------------------------------------- */

/* Descriptors: memory and bell of base/mailbox.h. */
#define MESSAGE_FIELDS_mailbox(F)
/* Front hands ledger one more channel; each of front's threads has its own and waits on it. `box`
 * of the mailbox is the channel's; MAILBOX_NONE: it has none. */
#define MESSAGE_FIELDS_channel(F) F(U32, box, 0)
/* May I? `action` is an enum message_action; `token` is the API key as presented (may be empty);
 * `model` and `version` where the route has them (an empty version means the latest); `tls` is 12
 * or 13, and `certificate` the SHA-256 of the client's, verified, or empty. */
#define MESSAGE_FIELDS_admit(F)                                                                    \
    F(U8, action, 0)                                                                               \
    F(TEXT, token, MESSAGE_TOKEN_MAX)                                                              \
    F(TEXT, model, MESSAGE_NAME_MAX)                                                               \
    F(TEXT, version, MESSAGE_NAME_MAX)                                                             \
    F(TEXT, request, MESSAGE_REQUEST_ID_MAX)                                                       \
    F(TEXT, client, MESSAGE_CLIENT_MAX)                                                            \
    F(U64, content_length, 0)                                                                      \
    F(U8, tls, 0)                                                                                  \
    F(BYTES, certificate, 32)
/* Yes. The ticket ends with exactly one PERFORM or SETTLE. For ACTION_INFER, ACTION_METADATA and
 * ACTION_MODEL_READY: the worker that has the model, the model's handle, its version, and (infer
 * only) the reserved slot. `body_bytes` and `deadline_ms` are the tenant's limits where its policy
 * has any below the configuration's, else 0. */
#define MESSAGE_FIELDS_admitted(F)                                                                 \
    F(U64, ticket, 0)                                                                              \
    F(U32, worker, 0)                                                                              \
    F(U32, slot, 0)                                                                                \
    F(U64, model, 0)                                                                               \
    F(TEXT, version, MESSAGE_NAME_MAX)                                                             \
    F(U64, body_bytes, 0)                                                                          \
    F(U32, deadline_ms, 0)
/* Yes, an upload: the descriptor takes the payload that follows the age header. */
#define MESSAGE_FIELDS_admitted_upload(F) F(U64, ticket, 0)
/* No: an enum status and the message to answer with. Already recorded. */
#define MESSAGE_FIELDS_refused(F)                                                                  \
    F(U8, status, 0) F(TEXT, message, MESSAGE_ERROR_MAX) F(U32, retry_after_s, 0)
/* The body was good: do it and record it. `header` and `payload_bytes` for an upload. For what is
 * listed: `limit` rows, `before` (a sequence number, 0 for the newest) or `after` (a row, as the
 * page before named it), and filters, empty or 0 where there is none: `from` and `to` are
 * microseconds, for usage days. `key` is also the key that is meant; `label`, `scopes`, `expires`
 * (0: as long as its maker) are those of a new one. `ready`: only models that are. */
#define MESSAGE_FIELDS_perform(F)                                                                  \
    F(U64, ticket, 0)                                                                              \
    F(BYTES, header, MESSAGE_HEADER_MAX)                                                           \
    F(U64, payload_bytes, 0)                                                                       \
    F(U32, limit, 0)                                                                               \
    F(U64, before, 0)                                                                              \
    F(TEXT, after, MESSAGE_CURSOR_MAX)                                                             \
    F(U64, from, 0)                                                                                \
    F(U64, to, 0)                                                                                  \
    F(TEXT, key, MESSAGE_NAME_MAX)                                                                 \
    F(TEXT, model, MESSAGE_TARGET_MAX)                                                             \
    F(TEXT, action, MESSAGE_NAME_MAX)                                                              \
    F(TEXT, outcome, MESSAGE_NAME_MAX)                                                             \
    F(TEXT, request, MESSAGE_REQUEST_ID_MAX)                                                       \
    F(TEXT, label, MESSAGE_NAME_MAX)                                                               \
    F(TEXT, scopes, MESSAGE_SCOPES_MAX)                                                            \
    F(U64, expires, 0)                                                                             \
    F(U8, ready, 0)
/* Done and durable, or not (an enum status): JSON to answer with, or a message for people. */
#define MESSAGE_FIELDS_performed(F)                                                                \
    F(U8, status, 0)                                                                               \
    F(TEXT, message, MESSAGE_ERROR_MAX)                                                            \
    F(BYTES, result, MESSAGE_RESULT_MAX)                                                           \
    F(U32, retry_after_s, 0)
/* How it went: an enum status, units (rows of the first input), microseconds of compute, and for
 * the statistics of inference those of reading the request, of waiting for the worker beyond its
 * compute, and of writing the answer. Where
 * `slot_stuck` is 1 the worker did not give the slot back: it must not be reserved again. */
#define MESSAGE_FIELDS_settle(F)                                                                   \
    F(U64, ticket, 0)                                                                              \
    F(U8, outcome, 0)                                                                              \
    F(U64, units, 0)                                                                               \
    F(U64, compute_us, 0)                                                                          \
    F(U64, bytes_in, 0)                                                                            \
    F(U64, bytes_out, 0)                                                                           \
    F(U32, decode_us, 0)                                                                           \
    F(U32, queue_us, 0)                                                                            \
    F(U32, encode_us, 0)                                                                           \
    F(U8, slot_stuck, 0)
/* The record is durable (STATUS_OK) or could not be written (then nothing may be answered but
 * 503). `sequence` is the record's number in the log. */
#define MESSAGE_FIELDS_settled(F) F(U64, ticket, 0) F(U8, status, 0) F(U64, sequence, 0)
/* The answer with that record did not reach the client. */
#define MESSAGE_FIELDS_undelivered(F) F(U64, ticket, 0) F(U64, sequence, 0)
/* What has been counted, for GET /metrics: lines of Prometheus' text format about the whole server.
 * Needs no ticket: it says nothing that front must not know. */
#define MESSAGE_FIELDS_measure(F)
#define MESSAGE_FIELDS_measured(F) F(BYTES, figures, MESSAGE_RESULT_MAX)

/* Whether the audit log can be written (1) or not (0), for readiness; told when that changes.
 * Without it, it can. */
#define MESSAGE_FIELDS_recording(F) F(U8, good, 0)

/* --- loading a model ----------------------------------------------------------------------- */

/* Ledger gives front the payload's descriptor, front sends it on to the worker: ciphertext. */
#define MESSAGE_FIELDS_front_payload(F) F(U32, worker, 0) F(U64, load, 0)
#define MESSAGE_FIELDS_worker_payload(F) F(U64, load, 0)
/* Names, types and shapes of a loaded model: JSON, the answer to GET /v2/models/{m} without its
 * name and version. Sent before LOADED. */
#define MESSAGE_FIELDS_signature(F) F(U64, model, 0) F(BYTES, signature, MESSAGE_RESULT_MAX)
/* `commitment` is empty the first time a model is opened, else 32 bytes that must match. `domains`
 * (MESSAGE_DOMAIN_...) and `memory` (MESSAGE_MEMORY_...) are what the tenant's policy says. */
#define MESSAGE_FIELDS_load(F)                                                                     \
    F(U64, load, 0)                                                                                \
    F(U64, model, 0)                                                                               \
    F(BYTES, header, MESSAGE_HEADER_MAX)                                                           \
    F(BYTES, wrapped, MESSAGE_WRAPPED_MAX)                                                         \
    F(BYTES, commitment, 32)                                                                       \
    F(U64, payload_bytes, 0)                                                                       \
    F(U32, domains, 0)                                                                             \
    F(U8, memory, 0)
#define MESSAGE_FIELDS_loaded(F)                                                                   \
    F(U64, load, 0)                                                                                \
    F(U8, status, 0)                                                                               \
    F(TEXT, message, MESSAGE_ERROR_MAX)                                                            \
    F(BYTES, commitment, 32)                                                                       \
    F(U64, resident_bytes, 0)
#define MESSAGE_FIELDS_unload(F) F(U64, model, 0)
#define MESSAGE_FIELDS_unwrap(F)                                                                   \
    F(U64, load, 0) F(BYTES, header, MESSAGE_HEADER_MAX) F(BYTES, wrapped, MESSAGE_WRAPPED_MAX)
#define MESSAGE_FIELDS_file_key(F)                                                                 \
    F(U64, load, 0) F(U8, status, 0) F(BYTES, key, 16) F(TEXT, message, MESSAGE_ERROR_MAX)

/* --- signing ------------------------------------------------------------------------------- */

#define MESSAGE_FIELDS_sign_recipient(F)                                                           \
    F(TEXT, tenant, MESSAGE_UID_MAX)                                                               \
    F(TEXT, name, MESSAGE_NAME_MAX)                                                                \
    F(TEXT, recipient, 128)                                                                        \
    F(BYTES, wrapped, MESSAGE_WRAPPED_MAX)
#define MESSAGE_FIELDS_recipient_signed(F)                                                         \
    F(U8, status, 0) F(TEXT, message, MESSAGE_ERROR_MAX) F(BYTES, note, MESSAGE_NOTE_MAX)

/* What a caller asks for, the scope that it takes, and the name in the audit log. */
#define MESSAGE_ACTIONS(A)                                                                         \
    A(SERVER_METADATA, NONE, "server.metadata")                                                    \
    A(METADATA, MODELS_READ, "model.metadata")                                                     \
    A(MODEL_READY, MODELS_READ, "model.ready")                                                     \
    A(INFER, INFER, "model.infer")                                                                 \
    A(INDEX, MODELS_READ, "repository.index")                                                      \
    A(LOAD, MODELS_WRITE, "model.load")                                                            \
    A(UNLOAD, MODELS_WRITE, "model.unload")                                                        \
    A(UPLOAD, MODELS_WRITE, "model.upload")                                                        \
    A(DELETE, MODELS_WRITE, "model.delete")                                                        \
    A(RECIPIENT, MODELS_WRITE, "recipient.read")                                                   \
    A(AUDIT, AUDIT_READ, "audit.read")                                                             \
    A(UNROUTED, NONE, "unrouted")                                                                  \
    A(CONFIG, MODELS_READ, "model.config")                                                         \
    A(STATISTICS, MODELS_READ, "model.statistics")                                                 \
    A(USAGE, USAGE_READ, "usage.read")                                                             \
    A(KEY_READ, KEYS_WRITE, "key.read")                                                            \
    A(KEY_CREATE, KEYS_WRITE, "key.create")                                                        \
    A(KEY_REVOKE, KEYS_WRITE, "key.revoke")                                                        \
    A(METRICS, METRICS, "metrics.read")                                                            \
    A(NOT_OFFERED, NONE, "not_offered")                                                            \
    A(MALFORMED, NONE, "request.malformed")

#endif

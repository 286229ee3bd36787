-- The whole schema of the first release. The same tables, columns and nullability stand in migrations/postgres/0001_base.sql.
-- Times are milliseconds since the Unix epoch, booleans are 0 or 1, documents are JSON in TEXT.

-- Facts about the database itself: fingerprints of the keys it was used with, the readiness probe.
CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE client (
    id          TEXT NOT NULL PRIMARY KEY CHECK (id LIKE 'cli\_%' ESCAPE '\'),
    name        TEXT NOT NULL UNIQUE CHECK (name <> ''),
    owner       TEXT,
    scopes      TEXT NOT NULL,
    may_act_for TEXT NOT NULL,
    enabled     INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    source      TEXT NOT NULL CHECK (source IN ('file', 'api')),
    frozen_at   INTEGER,
    -- Grants of approvals up to and with this instant are dead.
    void_before INTEGER,
    created_at  INTEGER NOT NULL,
    CHECK (frozen_at IS NULL OR void_before >= frozen_at)
) STRICT;

-- SHA-256 of whole keys; the keys themselves are nowhere.
CREATE TABLE client_key (
    hash       BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    key_id     TEXT NOT NULL,
    client_id  TEXT NOT NULL REFERENCES client (id),
    source     TEXT NOT NULL CHECK (source IN ('file', 'api')),
    expires_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
CREATE INDEX client_key_by_client ON client_key (client_id);

-- The pseudonym of the log, and what it stands for until it is erased.
CREATE TABLE person (
    id         TEXT NOT NULL PRIMARY KEY CHECK (id LIKE 'per\_%' ESCAPE '\'),
    source_key TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    email      TEXT NOT NULL
) STRICT;

CREATE TABLE policy_version (
    version  TEXT NOT NULL PRIMARY KEY,
    text     TEXT NOT NULL,
    added_at INTEGER NOT NULL
) STRICT;
CREATE TABLE policy_active (
    one          INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
    version      TEXT NOT NULL REFERENCES policy_version (version),
    activated_at INTEGER NOT NULL
) STRICT;

CREATE TABLE request (
    id              TEXT NOT NULL PRIMARY KEY CHECK (id LIKE 'req\_%' ESCAPE '\'),
    version         INTEGER NOT NULL CHECK (version >= 1),
    status          TEXT NOT NULL CHECK (status IN ('pending', 'approved', 'denied', 'expired', 'cancelled')),
    client_id       TEXT NOT NULL,
    action          TEXT NOT NULL CHECK (action <> ''),
    resource_type   TEXT,
    resource_id     TEXT,
    environment     TEXT,
    -- Lower-case text that a search looks into: action, resource id, summary, requester.
    search          TEXT NOT NULL,
    on_behalf_of    TEXT,
    policy_version  TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    decided_at      INTEGER,
    valid_until     INTEGER,
    digest          TEXT NOT NULL CHECK (digest LIKE 'sha256:%'),
    asked           TEXT NOT NULL,
    live            TEXT NOT NULL,
    idempotency_key TEXT,
    body_hash       BLOB CHECK (length(body_hash) = 32),
    CHECK ((status = 'pending') = (decided_at IS NULL)),
    CHECK ((status = 'approved') = (valid_until IS NOT NULL)),
    CHECK ((idempotency_key IS NULL) = (body_hash IS NULL))
) STRICT;
CREATE UNIQUE INDEX request_by_idempotency_key ON request (client_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX request_pending ON request (expires_at) WHERE status = 'pending';
CREATE INDEX request_by_client ON request (client_id, id);
CREATE INDEX request_history ON request (client_id, action, decided_at, status);

-- Which person reviewed which request; the reviews themselves stand in request.live.
CREATE TABLE review (
    id         TEXT NOT NULL PRIMARY KEY CHECK (id LIKE 'rev\_%' ESCAPE '\'),
    request_id TEXT NOT NULL REFERENCES request (id),
    person_id  TEXT NOT NULL,
    decision   TEXT NOT NULL,
    via        TEXT NOT NULL,
    at         INTEGER NOT NULL
) STRICT;
CREATE INDEX review_by_person ON review (person_id, request_id);

-- A tap that was acknowledged before it was judged.
CREATE TABLE tap (
    id          INTEGER NOT NULL PRIMARY KEY,
    platform    TEXT NOT NULL,
    dedup_key   TEXT NOT NULL,
    request_id  TEXT NOT NULL,
    payload     TEXT NOT NULL,
    received_at INTEGER NOT NULL,
    -- When a worker should look at it; NULL once it is finished.
    due_at      INTEGER,
    attempts    INTEGER NOT NULL DEFAULT 0,
    lease_owner TEXT,
    lease_until INTEGER,
    finished_at INTEGER,
    outcome     TEXT,
    UNIQUE (platform, dedup_key),
    CHECK ((finished_at IS NULL) = (due_at IS NOT NULL)),
    CHECK ((finished_at IS NULL) = (outcome IS NULL))
) STRICT;
CREATE INDEX tap_due ON tap (due_at) WHERE due_at IS NOT NULL;

-- One card in one place: the outbox.
CREATE TABLE delivery (
    id             INTEGER NOT NULL PRIMARY KEY,
    request_id     TEXT NOT NULL REFERENCES request (id),
    platform       TEXT NOT NULL,
    channel        TEXT NOT NULL,
    -- The card must show at least this version of the request ...
    wanted_version INTEGER NOT NULL,
    -- ... and shows this one; 0: nothing was posted.
    sent_version   INTEGER NOT NULL DEFAULT 0,
    -- When the card must be redrawn although no version changes.
    redraw_at      INTEGER,
    -- When a worker should look at it; NULL while there is nothing to do.
    due_at         INTEGER,
    -- Failures since it last succeeded.
    attempts       INTEGER NOT NULL DEFAULT 0,
    lease_owner    TEXT,
    lease_until    INTEGER,
    posted_channel TEXT,
    posted_ts      TEXT,
    permalink      TEXT,
    card_hash      TEXT,
    last_error     TEXT,
    dead_at        INTEGER,
    created_at     INTEGER NOT NULL,
    UNIQUE (request_id, platform, channel),
    CHECK (dead_at IS NULL OR due_at IS NULL),
    CHECK (dead_at IS NOT NULL OR wanted_version <= sent_version OR due_at IS NOT NULL)
) STRICT;
CREATE INDEX delivery_due ON delivery (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX delivery_dead ON delivery (dead_at) WHERE dead_at IS NOT NULL;

-- Repeats of one refusal within a minute; their count becomes one event when the minute is over.
CREATE TABLE refusal (
    key          TEXT NOT NULL PRIMARY KEY,
    window_start INTEGER NOT NULL,
    repeats      INTEGER NOT NULL,
    type         TEXT NOT NULL,
    actor        TEXT NOT NULL,
    request_id   TEXT,
    data         TEXT NOT NULL
) STRICT;
CREATE INDEX refusal_by_window ON refusal (window_start);

CREATE TABLE audit_event (
    seq        INTEGER NOT NULL PRIMARY KEY CHECK (seq >= 1),
    at         INTEGER NOT NULL,
    type       TEXT NOT NULL,
    actor_kind TEXT NOT NULL CHECK (actor_kind IN ('client', 'person', 'system')),
    actor_id   TEXT,
    request_id TEXT,
    event      TEXT NOT NULL,
    leaf_hash  BLOB NOT NULL CHECK (length(leaf_hash) = 32),
    chain_hash BLOB NOT NULL CHECK (length(chain_hash) = 32),
    CHECK ((actor_kind = 'system') = (actor_id IS NULL))
) STRICT;
CREATE INDEX audit_event_by_request ON audit_event (request_id, seq) WHERE request_id IS NOT NULL;

CREATE TRIGGER audit_event_no_update BEFORE UPDATE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only: no update'); END;
CREATE TRIGGER audit_event_no_delete BEFORE DELETE ON audit_event
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only: no delete'); END;
-- INSERT OR REPLACE removes the old row without firing the delete trigger; a row that is not the next one never gets that far.
CREATE TRIGGER audit_event_next BEFORE INSERT ON audit_event
WHEN NEW.seq IS NOT (SELECT COALESCE(MAX(seq), 0) + 1 FROM audit_event)
BEGIN SELECT RAISE(ABORT, 'audit_event is append-only: not the next seq'); END;

-- Signed ends of the log, written beside it.
CREATE TABLE audit_head (
    seq        INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    chain_hash BLOB NOT NULL CHECK (length(chain_hash) = 32),
    signature  BLOB NOT NULL,
    public_key BLOB NOT NULL,
    PRIMARY KEY (seq, at)
) STRICT;

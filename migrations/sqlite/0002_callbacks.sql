-- One callback on its way to the caller; delivered ones are deleted, their evidence stands in the log.
CREATE TABLE callback (
    id             INTEGER NOT NULL PRIMARY KEY,
    -- The same on every try, so that the receiver can tell a repeat.
    webhook_id     TEXT NOT NULL UNIQUE CHECK (webhook_id LIKE 'msg\_%' ESCAPE '\'),
    request_id     TEXT NOT NULL REFERENCES request (id),
    kind           TEXT NOT NULL CHECK (kind IN ('updated', 'terminal')),
    -- It must tell at least this version of the request.
    wanted_version INTEGER NOT NULL,
    -- What it tells, fixed before the first try; until then later changes join it.
    body           TEXT,
    -- When a worker should look at it; NULL once it is a dead letter.
    due_at         INTEGER,
    -- Tries that failed.
    attempts       INTEGER NOT NULL DEFAULT 0,
    lease_owner    TEXT,
    lease_until    INTEGER,
    last_error     TEXT,
    dead_at        INTEGER,
    created_at     INTEGER NOT NULL,
    CHECK ((dead_at IS NULL) = (due_at IS NOT NULL)),
    CHECK (dead_at IS NULL OR body IS NULL)
) STRICT;
CREATE UNIQUE INDEX callback_untried ON callback (request_id) WHERE body IS NULL AND dead_at IS NULL;
CREATE INDEX callback_by_request ON callback (request_id);
CREATE INDEX callback_due ON callback (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX callback_dead ON callback (dead_at) WHERE dead_at IS NOT NULL;

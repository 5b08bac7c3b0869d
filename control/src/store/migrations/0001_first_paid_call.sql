-- Amounts are counts of 10^-9 main units of the account's currency.
-- Instants end in _ms: milliseconds since the Unix epoch.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Grows with every change of what a directory is made of.
INSERT INTO meta (key, value) VALUES ('directory_version', 0);

CREATE TABLE tariff (
    name     TEXT PRIMARY KEY,
    currency TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE rate (
    tariff            TEXT NOT NULL REFERENCES tariff (name),
    prefix            TEXT NOT NULL,
    price             INTEGER NOT NULL CHECK (price >= 0),
    per_seconds       INTEGER NOT NULL CHECK (per_seconds > 0),
    initial_seconds   INTEGER NOT NULL CHECK (initial_seconds > 0),
    next_seconds      INTEGER NOT NULL CHECK (next_seconds > 0),
    connection_fee    INTEGER NOT NULL CHECK (connection_fee >= 0),
    rounding          TEXT NOT NULL CHECK (rounding IN ('up', 'half-even', 'down')),
    rounding_decimals INTEGER NOT NULL CHECK (rounding_decimals BETWEEN 0 AND 9),
    PRIMARY KEY (tariff, prefix)
) STRICT, WITHOUT ROWID;

CREATE TABLE account (
    id               TEXT PRIMARY KEY,
    display_name     TEXT NOT NULL,
    currency         TEXT NOT NULL,
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    balance_limit    INTEGER NOT NULL CHECK (balance_limit <= 0),
    tariff           TEXT REFERENCES tariff (name),
    caller_number    TEXT,
    max_call_seconds INTEGER NOT NULL CHECK (max_call_seconds > 0),
    max_calls        INTEGER NOT NULL CHECK (max_calls >= 0),
    grace_seconds    INTEGER NOT NULL CHECK (grace_seconds >= 0),
    md5_in_clear     INTEGER NOT NULL CHECK (md5_in_clear IN (0, 1))
) STRICT, WITHOUT ROWID;

-- H(user:realm:password); the password itself is not kept.
CREATE TABLE digest_secret (
    account   TEXT NOT NULL REFERENCES account (id),
    algorithm TEXT NOT NULL CHECK (algorithm IN ('SHA-256', 'MD5')),
    position  INTEGER NOT NULL,
    ha1       TEXT NOT NULL,
    PRIMARY KEY (account, algorithm)
) STRICT, WITHOUT ROWID;

-- An address is trusted as one account, never as several.
CREATE TABLE trusted_address (
    address TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES account (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE trunk (
    name                  TEXT PRIMARY KEY,
    priority              INTEGER NOT NULL,
    enabled               INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    transport             TEXT NOT NULL CHECK (transport IN ('udp', 'tcp', 'tls')),
    address               TEXT NOT NULL,
    domain                TEXT NOT NULL,
    number_prefix         TEXT NOT NULL,
    user                  TEXT,
    password              TEXT,
    media                 TEXT NOT NULL CHECK (media IN ('srtp', 'plain')),
    max_calls             INTEGER NOT NULL CHECK (max_calls >= 0),
    setup_timeout_seconds INTEGER NOT NULL CHECK (setup_timeout_seconds > 0),
    CHECK ((user IS NULL) = (password IS NULL))
) STRICT, WITHOUT ROWID;

-- Double entry. A customer's row keeps its sum; the others are summed when asked for,
-- so that no row is written by every call.
CREATE TABLE ledger_account (
    name     TEXT PRIMARY KEY,
    currency TEXT NOT NULL,
    account  TEXT UNIQUE REFERENCES account (id),
    posted   INTEGER,
    CHECK ((account IS NULL) = (posted IS NULL))
) STRICT, WITHOUT ROWID;

CREATE TABLE transfer (
    id        INTEGER PRIMARY KEY,
    kind      TEXT NOT NULL CHECK (kind IN ('top-up', 'charge')),
    call      TEXT UNIQUE,
    reference TEXT,
    at_ms     INTEGER NOT NULL,
    CHECK ((kind = 'charge') = (call IS NOT NULL))
) STRICT;

CREATE TABLE posting (
    transfer       INTEGER NOT NULL REFERENCES transfer (id),
    ledger_account TEXT NOT NULL REFERENCES ledger_account (name),
    amount         INTEGER NOT NULL CHECK (amount <> 0),
    PRIMARY KEY (transfer, ledger_account)
) STRICT, WITHOUT ROWID;

CREATE INDEX posting_by_ledger_account ON posting (ledger_account);

CREATE TABLE hold (
    call          TEXT PRIMARY KEY,
    account       TEXT NOT NULL REFERENCES account (id),
    amount        INTEGER NOT NULL CHECK (amount >= 0),
    seconds       INTEGER NOT NULL CHECK (seconds > 0),
    placed_at_ms  INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    state         TEXT NOT NULL CHECK (state IN ('open', 'settled', 'released', 'expired'))
) STRICT, WITHOUT ROWID;

CREATE INDEX hold_open ON hold (account, expires_at_ms, amount) WHERE state = 'open';
CREATE INDEX hold_open_by_expiry ON hold (expires_at_ms) WHERE state = 'open';

-- A hold ends once, and posted history is not edited.
CREATE TRIGGER hold_ends_once BEFORE UPDATE OF state ON hold WHEN old.state <> 'open'
BEGIN SELECT raise(ABORT, 'a hold ends once'); END;
CREATE TRIGGER posting_is_final BEFORE UPDATE ON posting
BEGIN SELECT raise(ABORT, 'a posting is never edited'); END;
CREATE TRIGGER posting_stays BEFORE DELETE ON posting
BEGIN SELECT raise(ABORT, 'a posting is never removed'); END;

-- Calls in progress, as they were before the last step.
CREATE TABLE journal (
    call  TEXT PRIMARY KEY,
    entry TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every ended call, in the order of commits: also the outbox, which a sink reads from its cursor on.
CREATE TABLE cdr (
    sequence  INTEGER PRIMARY KEY AUTOINCREMENT,
    call      TEXT NOT NULL UNIQUE,
    account   TEXT,
    end_at_ms INTEGER NOT NULL,
    charge    INTEGER NOT NULL CHECK (charge >= 0),
    shortfall INTEGER NOT NULL CHECK (shortfall >= 0),
    record    TEXT NOT NULL
) STRICT;

CREATE INDEX cdr_by_account ON cdr (account, sequence);

CREATE TABLE cdr_cursor (
    sink     TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER tariff_insert_changes_directory AFTER INSERT ON tariff
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER tariff_update_changes_directory AFTER UPDATE ON tariff
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER tariff_delete_changes_directory AFTER DELETE ON tariff
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER rate_insert_changes_directory AFTER INSERT ON rate
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER rate_update_changes_directory AFTER UPDATE ON rate
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER rate_delete_changes_directory AFTER DELETE ON rate
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER account_insert_changes_directory AFTER INSERT ON account
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER account_update_changes_directory AFTER UPDATE ON account
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER account_delete_changes_directory AFTER DELETE ON account
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER digest_secret_insert_changes_directory AFTER INSERT ON digest_secret
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER digest_secret_update_changes_directory AFTER UPDATE ON digest_secret
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER digest_secret_delete_changes_directory AFTER DELETE ON digest_secret
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER trusted_address_insert_changes_directory AFTER INSERT ON trusted_address
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER trusted_address_update_changes_directory AFTER UPDATE ON trusted_address
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER trusted_address_delete_changes_directory AFTER DELETE ON trusted_address
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER trunk_insert_changes_directory AFTER INSERT ON trunk
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER trunk_update_changes_directory AFTER UPDATE ON trunk
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER trunk_delete_changes_directory AFTER DELETE ON trunk
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;

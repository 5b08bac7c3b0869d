-- A tariff is a row of versions, each valid from an instant on. One that was put in force is never changed.
CREATE TABLE tariff_version (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    tariff         TEXT NOT NULL REFERENCES tariff (name),
    valid_from_ms  INTEGER NOT NULL,
    valid_until_ms INTEGER,
    -- 0 while its rates are brought in, and again while they are removed: it does not count then.
    ready          INTEGER NOT NULL CHECK (ready IN (0, 1)),
    made_at_ms     INTEGER NOT NULL,
    time_zone      TEXT NOT NULL,
    -- JSON: bands of hours, and taxes.
    bands          TEXT NOT NULL,
    taxes          TEXT NOT NULL,
    CHECK (valid_until_ms > valid_from_ms)
) STRICT;

CREATE UNIQUE INDEX tariff_version_begins ON tariff_version (tariff, valid_from_ms) WHERE ready = 1;

CREATE TABLE version_rate (
    version           INTEGER NOT NULL REFERENCES tariff_version (id),
    prefix            TEXT NOT NULL,
    -- Empty for all hours that no band of the prefix has.
    band              TEXT NOT NULL,
    price             INTEGER NOT NULL CHECK (price >= 0),
    per_seconds       INTEGER NOT NULL CHECK (per_seconds > 0),
    initial_seconds   INTEGER NOT NULL CHECK (initial_seconds > 0),
    next_seconds      INTEGER NOT NULL CHECK (next_seconds > 0),
    connection_fee    INTEGER NOT NULL CHECK (connection_fee >= 0),
    rounding          TEXT NOT NULL CHECK (rounding IN ('up', 'half-even', 'down')),
    rounding_decimals INTEGER NOT NULL CHECK (rounding_decimals BETWEEN 0 AND 9),
    minimum_charge    INTEGER NOT NULL CHECK (minimum_charge >= 0),
    attempt_fee       INTEGER NOT NULL CHECK (attempt_fee >= 0),
    free_seconds      INTEGER NOT NULL CHECK (free_seconds >= 0),
    grace_seconds     INTEGER NOT NULL CHECK (grace_seconds >= 0),
    trial             INTEGER NOT NULL CHECK (trial IN (0, 1)),
    PRIMARY KEY (version, prefix, band)
) STRICT, WITHOUT ROWID;

-- What there was until now has always been in force.
INSERT INTO tariff_version (tariff, valid_from_ms, ready, made_at_ms, time_zone, bands, taxes)
SELECT name, 0, 1, 0, 'UTC', '[]', '{}' FROM tariff WHERE name IN (SELECT tariff FROM rate);
INSERT INTO version_rate
SELECT tariff_version.id, prefix, '', price, per_seconds, initial_seconds, next_seconds, connection_fee, rounding,
       rounding_decimals, 0, 0, 0, 0, 0
FROM rate JOIN tariff_version ON tariff_version.tariff = rate.tariff;
DROP TABLE rate;

-- Rates of a version that counts stay as they are.
CREATE TRIGGER version_rate_is_complete BEFORE INSERT ON version_rate
WHEN (SELECT ready FROM tariff_version WHERE id = new.version) = 1
BEGIN SELECT raise(ABORT, 'a version in force is never changed'); END;
CREATE TRIGGER version_rate_is_final BEFORE UPDATE ON version_rate
BEGIN SELECT raise(ABORT, 'a version in force is never changed'); END;
CREATE TRIGGER version_rate_stays BEFORE DELETE ON version_rate
WHEN (SELECT ready FROM tariff_version WHERE id = old.version) = 1
BEGIN SELECT raise(ABORT, 'a version in force is never changed'); END;
CREATE TRIGGER tariff_version_is_final
BEFORE UPDATE OF tariff, valid_from_ms, valid_until_ms, time_zone, bands, taxes ON tariff_version
WHEN old.ready = 1
BEGIN SELECT raise(ABORT, 'a version in force is never changed'); END;
CREATE TRIGGER tariff_version_stays BEFORE DELETE ON tariff_version WHEN old.ready = 1
BEGIN SELECT raise(ABORT, 'a version in force is never removed'); END;

-- What one main unit of a currency is worth in another, in 10^-9 of it, until the next row is in force.
CREATE TABLE exchange_rate (
    from_currency TEXT NOT NULL,
    to_currency   TEXT NOT NULL,
    since_ms      INTEGER NOT NULL,
    rate          INTEGER NOT NULL CHECK (rate > 0),
    PRIMARY KEY (from_currency, to_currency, since_ms),
    CHECK (from_currency <> to_currency)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER exchange_rate_is_final BEFORE UPDATE ON exchange_rate
BEGIN SELECT raise(ABORT, 'a dated rate of exchange is never changed'); END;
CREATE TRIGGER exchange_rate_stays BEFORE DELETE ON exchange_rate
BEGIN SELECT raise(ABORT, 'a dated rate of exchange is never removed'); END;

-- Prices of the account's own, which win over those of its tariff where their prefix is not shorter.
ALTER TABLE account ADD COLUMN overrides TEXT REFERENCES tariff (name);
-- A trial allowance is given once, and the trial ends with the first credit that is bought.
ALTER TABLE account ADD COLUMN trial TEXT NOT NULL DEFAULT 'none' CHECK (trial IN ('none', 'on', 'over'));
-- What the carrier takes.
ALTER TABLE trunk ADD COLUMN buy_tariff TEXT REFERENCES tariff (name);

CREATE TRIGGER tariff_version_insert_changes_directory AFTER INSERT ON tariff_version WHEN new.ready = 1
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER tariff_version_update_changes_directory AFTER UPDATE ON tariff_version
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;
CREATE TRIGGER exchange_rate_insert_changes_directory AFTER INSERT ON exchange_rate
BEGIN UPDATE meta SET value = value + 1 WHERE key = 'directory_version'; END;

-- How well both voices of a call arrived, where a report over many calls can find it; the record has the rest. Nothing for
-- calls without audio, of an unknown encoding, or from before this migration.
ALTER TABLE cdr ADD COLUMN caller_mos_x100 INTEGER;
ALTER TABLE cdr ADD COLUMN callee_mos_x100 INTEGER;
-- Where the delay behind the scores comes from (assumed, rtcp), and the jitter buffer that they assume.
ALTER TABLE cdr ADD COLUMN mos_delay_from TEXT;
ALTER TABLE cdr ADD COLUMN mos_buffer_ms INTEGER;

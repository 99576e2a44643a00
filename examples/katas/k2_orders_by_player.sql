-- Kata 2, second form: the texts carry no time, messages come without a key and leave with one.
--
-- Topic order-texts has texts: "player1 txn01 BUY 5". Topic valid-orders gets them as objects, keyed by player, with
-- the time they were read; topic invalid-orders gets the texts that are no orders. Orders of more than 1000 shares are
-- dropped.

CREATE TABLE order_texts (raw STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'order-texts',
  'properties.bootstrap.servers' = 'localhost:9092',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.scalar' = 'true'
);

CREATE TABLE valid_orders (
  player STRING,
  `time` TIMESTAMP_LTZ(3),
  txnId STRING,
  `type` STRING,
  shares INT
) WITH (
  'connector' = 'kafka',
  'topic' = 'valid-orders',
  'properties.bootstrap.servers' = 'localhost:9092',
  'key.format' = 'json',
  'key.fields' = 'player',
  'key.json.scalar' = 'true',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601',
  'value.fields-include' = 'EXCEPT_KEY'
);

CREATE TABLE invalid_orders (raw STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'invalid-orders',
  'properties.bootstrap.servers' = 'localhost:9092',
  'format' = 'json',
  'json.scalar' = 'true'
);

-- The pattern takes any case, but only BUY and SELL in capitals are orders; a number that does not fit is NULL.
CREATE VIEW parsed AS
SELECT
  raw,
  REGEXP_EXTRACT(raw, '(?i)^([a-z0-9]+) ([a-z0-9]+) (BUY|SELL) ([0-9]+)$', 1) AS player,
  REGEXP_EXTRACT(raw, '(?i)^([a-z0-9]+) ([a-z0-9]+) (BUY|SELL) ([0-9]+)$', 2) AS txnId,
  REGEXP_EXTRACT(raw, '(?i)^([a-z0-9]+) ([a-z0-9]+) (BUY|SELL) ([0-9]+)$', 3) AS `type`,
  TRY_CAST(REGEXP_EXTRACT(raw, '(?i)^([a-z0-9]+) ([a-z0-9]+) (BUY|SELL) ([0-9]+)$', 4) AS INT) AS shares
FROM order_texts;

CREATE VIEW judged AS
SELECT *, (`type` IN ('BUY', 'SELL') AND shares >= 1) IS TRUE AS ok
FROM parsed;

EXECUTE STATEMENT SET
BEGIN
  INSERT INTO invalid_orders SELECT raw FROM judged WHERE NOT ok;
  INSERT INTO valid_orders
  SELECT player, CURRENT_TIMESTAMP, txnId, `type`, shares FROM judged WHERE ok AND `type` = 'BUY' AND shares <= 1000
  UNION ALL
  SELECT player, CURRENT_TIMESTAMP, txnId, `type`, shares FROM judged WHERE ok AND `type` = 'SELL' AND shares <= 1000;
END;

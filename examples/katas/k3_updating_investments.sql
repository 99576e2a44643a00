-- Kata 3: merge the investments of a player that fall into the same tenth of a second. Each investment updates the
-- result of its window at once; no window is waited for.
--
-- Topic investments: key "player1", value {"time": "2018-03-16T09:00:00.010Z", "txnId": "txn01", "invested": 1.0}.
-- Topic grouped-investments gets the same, with the sum and the first transaction of the window so far.

SET 'table.exec.emit.early-fire.enabled' = 'true';   -- a window shows its value before it closes
SET 'table.exec.mini-batch.enabled' = 'false';       -- and each value, not only the last of those that came together

CREATE TABLE investments (
  player STRING,
  `time` TIMESTAMP_LTZ(3),
  txnId STRING,
  invested DOUBLE,
  WATERMARK FOR `time` AS `time` - INTERVAL '0.01' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'investments',
  'properties.bootstrap.servers' = 'localhost:9092',
  'scan.startup.mode' = 'earliest-offset',
  'key.format' = 'json',
  'key.fields' = 'player',
  'key.json.scalar' = 'true',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601',
  'value.fields-include' = 'EXCEPT_KEY'
);

-- The key of a message is the player and the window, so that a later message replaces the one before it.
CREATE TABLE grouped_investments (
  key_player STRING,
  key_time TIMESTAMP(3),
  `time` TIMESTAMP_LTZ(3),
  txnId STRING,
  invested DOUBLE,
  PRIMARY KEY (key_player, key_time) NOT ENFORCED
) WITH (
  'connector' = 'upsert-kafka',
  'topic' = 'grouped-investments',
  'properties.bootstrap.servers' = 'localhost:9092',
  'key.format' = 'json',
  'key.fields-prefix' = 'key_',
  'key.json.timestamp-format.standard' = 'ISO-8601',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601',
  'value.fields-include' = 'EXCEPT_KEY'
);

INSERT INTO grouped_investments
SELECT player, window_start, CAST(window_start AS TIMESTAMP_LTZ(3)), FIRST_VALUE(txnId), SUM(invested)
FROM TABLE(TUMBLE(TABLE investments, DESCRIPTOR(`time`), INTERVAL '0.1' SECOND))
GROUP BY player, window_start, window_end;

-- Kata 3: merge the investments of a player that fall into the same tenth of a second. One result per window, when the
-- watermark says that no more will come.
--
-- Topic investments: key "player1", value {"time": "2018-03-16T09:00:00.010Z", "txnId": "txn01", "invested": 1.0}.
-- Topic grouped-investments gets the same, with the sum and the first transaction of each window.

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

CREATE TABLE grouped_investments (
  player STRING,
  `time` TIMESTAMP_LTZ(3),
  txnId STRING,
  invested DOUBLE
) WITH (
  'connector' = 'kafka',
  'topic' = 'grouped-investments',
  'properties.bootstrap.servers' = 'localhost:9092',
  'key.format' = 'json',
  'key.fields' = 'player',
  'key.json.scalar' = 'true',
  'value.format' = 'json',
  'value.json.timestamp-format.standard' = 'ISO-8601',
  'value.fields-include' = 'EXCEPT_KEY'
);

INSERT INTO grouped_investments
SELECT player, CAST(window_start AS TIMESTAMP_LTZ(3)), FIRST_VALUE(txnId), SUM(invested)
FROM TABLE(TUMBLE(TABLE investments, DESCRIPTOR(`time`), INTERVAL '0.1' SECOND))
GROUP BY player, window_start, window_end;

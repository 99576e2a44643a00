-- Kata 1: what gibbs say about the price of bananas.
--
-- Topic gibb-topic has gibbs: {"id": "002", "time": "2018-03-16T09:00:00.000Z", "text": "#mktd6 #bananacoins are good!!!"}
-- Topic price-influence-topic gets one "UP" or "DOWN" for each exclamation mark of a gibb that carries both hashtags:
-- UP if it has a happy word, else DOWN if it has a sad one, else nothing.

CREATE TABLE gibb_topic (
  id STRING,
  `time` TIMESTAMP_LTZ(3),
  text STRING,
  WATERMARK FOR `time` AS `time` - INTERVAL '0.01' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'gibb-topic',
  'properties.bootstrap.servers' = 'localhost:9092',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE price_influence (influence STRING) WITH (
  'connector' = 'kafka',
  'topic' = 'price-influence-topic',
  'properties.bootstrap.servers' = 'localhost:9092',
  'format' = 'json',
  'json.scalar' = 'true'
);

CREATE VIEW sentiments AS
SELECT
  text,
  CASE
    WHEN REGEXP(text, '\b(smile|happy|good|yes)\b') THEN 'UP'
    WHEN REGEXP(text, '\b(frown|sad|bad|no)\b') THEN 'DOWN'
  END AS influence
FROM gibb_topic
WHERE text LIKE '%#mktd6%' AND text LIKE '%#bananacoins%';

-- A text with three exclamation marks makes an array of three, and UNNEST a row of each.
INSERT INTO price_influence
SELECT influence
FROM sentiments
CROSS JOIN UNNEST(REGEXP_EXTRACT_ALL(text, '!', 0)) AS marks (mark)
WHERE influence IS NOT NULL;

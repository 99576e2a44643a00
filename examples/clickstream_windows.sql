-- Windows over a made-up stream of clicks. Needs nothing but streamsql, and ends after a few seconds:
--   streamsql run examples/clickstream_windows.sql

-- 1200 clicks, one every tenth of a second of event time, made as fast as 600 a second.
CREATE TABLE clicks (
  id BIGINT,
  user_number INT,
  page_number INT,
  user_name AS CONCAT('user', CAST(user_number AS STRING)),
  page AS ELT(page_number, '/', '/bananas', '/cart', '/help'),
  clicked_at AS TO_TIMESTAMP_LTZ(1521190800000 + id * 100, 3),
  WATERMARK FOR clicked_at AS clicked_at - INTERVAL '1' SECOND
) WITH (
  'connector' = 'datagen',
  'rows-per-second' = '600',
  'fields.id.kind' = 'sequence',
  'fields.id.start' = '0',
  'fields.id.end' = '1199',
  'fields.user_number.min' = '1',
  'fields.user_number.max' = '40',
  'fields.page_number.min' = '1',
  'fields.page_number.max' = '4'
);

-- Windows that follow each other: clicks and visitors per page and half minute.
SELECT window_start, page, COUNT(*) AS clicks, COUNT(DISTINCT user_name) AS visitors
FROM TABLE(TUMBLE(TABLE clicks, DESCRIPTOR(clicked_at), INTERVAL '30' SECOND))
GROUP BY window_start, window_end, page;

-- Windows that overlap: the last minute, every half minute.
SELECT window_start, window_end, COUNT(*) AS clicks
FROM TABLE(HOP(TABLE clicks, DESCRIPTOR(clicked_at), INTERVAL '30' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;

-- Windows that grow: the count so far in each minute, every 20 seconds.
SELECT window_start, window_end, COUNT(*) AS clicks
FROM TABLE(CUMULATE(TABLE clicks, DESCRIPTOR(clicked_at), INTERVAL '20' SECOND, INTERVAL '1' MINUTE))
GROUP BY window_start, window_end;

-- Windows that follow the data: visits of a user, which end after 8 seconds without a click. The long ones.
SELECT user_name, window_start AS began, window_end AS ended, COUNT(*) AS clicks
FROM TABLE(SESSION(TABLE clicks PARTITION BY user_name, DESCRIPTOR(clicked_at), INTERVAL '8' SECOND))
GROUP BY user_name, window_start, window_end
HAVING COUNT(*) >= 20;

-- Without a window: an answer that is updated, here only its end.
SET 'sql-client.execution.result-mode' = 'table';
SELECT page, COUNT(*) AS clicks, COUNT(DISTINCT user_name) AS visitors FROM clicks GROUP BY page;

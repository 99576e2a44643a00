-- title: limit
SELECT id FROM orders LIMIT 3;

-- title: limit of a changelog
SELECT name, score FROM players LIMIT 3;

-- title: order by with limit
SELECT id FROM orders ORDER BY price DESC LIMIT 3 OFFSET 1;

-- title: order by time
SELECT id, `time` FROM orders ORDER BY `time`, id DESC;

-- title: order by processing time
SELECT id, pt FROM orders ORDER BY pt;

-- title: top n with the rank
SELECT player, id, rn FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY player ORDER BY price DESC, id) AS rn FROM orders) WHERE rn <= 3;

-- title: top n without the rank
SELECT player, id FROM (SELECT *, RANK() OVER (PARTITION BY player ORDER BY price DESC NULLS FIRST) AS rn FROM orders) WHERE rn BETWEEN 2 AND 3 AND id > 5;

-- title: top 1 is keyed by its partition
INSERT INTO totals SELECT player, id, shares FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY player ORDER BY price) AS rn FROM orders) WHERE rn = 1;

-- title: top n of groups
SELECT player, n FROM (SELECT player, n, ROW_NUMBER() OVER (ORDER BY n DESC) AS rn FROM per_player) WHERE rn < 4;

-- title: qualify
SELECT player, price FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY player ORDER BY price) = 2;

-- title: keep first by event time
SELECT player, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY player ORDER BY `time`) AS rn FROM orders) WHERE rn = 1;

-- title: keep last by processing time
INSERT INTO totals SELECT player, id, shares FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY player ORDER BY pt DESC) AS rn FROM orders) WHERE rn = 1;

-- title: window top n
SELECT window_start, window_end, player, n FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) AS rn FROM (SELECT window_start, window_end, player, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, player)) WHERE rn <= 3;

-- title: window deduplication
SELECT window_end, player, id FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY window_start, window_end, player ORDER BY `time` DESC) AS rn FROM TABLE(TUMBLE(TABLE orders, DESCRIPTOR(`time`), INTERVAL '10' SECOND))) WHERE rn = 1;

-- title: over by event time
SELECT player, SUM(shares) OVER w AS s, LAG(shares) OVER w AS l FROM orders WINDOW w AS (PARTITION BY player ORDER BY `time` ROWS BETWEEN 9 PRECEDING AND CURRENT ROW);

-- title: over by processing time
SELECT player, COUNT(*) OVER (PARTITION BY player ORDER BY pt) AS n FROM orders;

-- title: several over
SELECT player, COUNT(*) OVER (PARTITION BY player ORDER BY `time`) AS n, MAX(price) OVER (ORDER BY `time` RANGE BETWEEN INTERVAL '1' MINUTE PRECEDING AND CURRENT ROW) AS m, RANK() OVER (PARTITION BY part ORDER BY price) AS r FROM orders;

-- title: over a changelog
SELECT name, RANK() OVER (PARTITION BY team ORDER BY score DESC) AS r FROM players;

-- title: top n of a view of ranked rows
SELECT player, id FROM ranked WHERE place <= 2;

-- title: a view of the best rows stays addressable
SELECT id FROM cheapest WHERE id > 5;

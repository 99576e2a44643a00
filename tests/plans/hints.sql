-- title: each side of a join, by alias and by name
SELECT /*+ STATE_TTL('o' = '1d', 'players' = '12 h') */ o.id, players.team FROM orders AS o LEFT JOIN players ON o.player = players.name;

-- title: one side; the other is as the session says
SELECT /*+ STATE_TTL('p' = '0') */ o.id, p.team FROM orders AS o JOIN players AS p ON o.player = p.name WHERE p.score > 3;

-- title: three tables, the result of the first join has no name
SELECT /*+ STATE_TTL('o' = '1d', 'p' = '2d', 'c' = '3d') */ o.id, p.team, c.score FROM orders AS o JOIN players AS p ON o.player = p.name JOIN changes AS c ON o.id = c.id;

-- title: groups; the last word on a name counts, and the first hint
SELECT /*+ STATE_TTL('o' = '1d', 'o' = '2d'), STATE_TTL('o' = '3d') */ player, COUNT(*) AS n FROM orders AS o WHERE shares > 1 GROUP BY player HAVING COUNT(*) > 2;

-- title: DISTINCT, and a sub-query of its own
SELECT /*+ STATE_TTL('s' = '1d') */ DISTINCT n FROM (SELECT /*+ STATE_TTL('orders' = '2d') */ player, COUNT(*) AS n FROM orders GROUP BY player) AS s;

-- title: equal queries with different hints are not one
SELECT /*+ STATE_TTL('orders' = '1d') */ player, COUNT(*) AS n FROM orders GROUP BY player UNION ALL SELECT /*+ STATE_TTL('orders' = '2d') */ player, COUNT(*) AS n FROM orders GROUP BY player;

-- title: grouping sets
SELECT /*+ STATE_TTL('orders' = '1d') */ player, shares, COUNT(*) AS n FROM orders GROUP BY ROLLUP (player, shares);

-- title: options of the table that a window function reads
SELECT window_start, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE orders /*+ OPTIONS('topic'='others') */, DESCRIPTOR(`time`), INTERVAL '1' HOUR)) GROUP BY window_start, window_end;

-- title: options of the table that a changelog function reads
SELECT * FROM TO_CHANGELOG(TABLE changes /*+ OPTIONS('topic'='others') */);
